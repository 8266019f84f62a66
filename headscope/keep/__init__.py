"""What is written out: files that are whole or not there, and what their cells may hold."""
