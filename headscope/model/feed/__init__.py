"""The way of a token from its id to any layer's attention."""
