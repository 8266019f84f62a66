"""What was expensive: one cache, files that are whole or not there, a directory that belongs to one question."""
