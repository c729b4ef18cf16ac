"""Roads of one locality."""
