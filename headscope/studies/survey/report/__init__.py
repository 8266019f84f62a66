"""A survey's directory, read back: figures, tables, one document that can be checked. Knows no model and no torch."""
