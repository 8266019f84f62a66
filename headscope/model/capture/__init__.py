"""What one pass leaves, seen without touching the model."""
