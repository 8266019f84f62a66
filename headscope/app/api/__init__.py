"""The HTTP API: what is asked, what is answered, and who waits."""
