"""Public-health advice of one locality."""
