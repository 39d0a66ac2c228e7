"""Learning from somebody's own labels, in minutes."""
