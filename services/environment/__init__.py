"""Air quality of one locality."""
