"""The experiment's question, which is asked where nothing else is."""

TEXT = "Time flies like an arrow. Fruit flies like a banana."
TOKEN = 1
K = 15
