"""The commands of the command line, and what they share. Heavy imports happen where they are used."""
