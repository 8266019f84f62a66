"""Many texts: what every head's output is nearest to, and what of it differs from chance."""
