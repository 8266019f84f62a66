"""Everything that knows transformers: loading, capture, anatomy, tokens."""
