"""Results as text, JSON and HTML. Nothing is computed here, and nothing of the library is imported."""
