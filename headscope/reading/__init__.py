"""One text: what was captured, and one file an answer."""
