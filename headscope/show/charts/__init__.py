"""Charts of a survey: each function gives one, with the numbers that it shows."""
