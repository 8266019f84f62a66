"""What can be asked, in words: choices, the question, what they mean, and what its reader is told."""
