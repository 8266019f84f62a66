"""Questions asked of a corpus."""
