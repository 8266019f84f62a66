"""The page, and what is taken away from it."""
