"""How many dimensions, and how many encodings, each layer needs; and what others measured, on the model at hand."""
