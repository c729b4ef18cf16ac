"""The border of one locality: applies agreements outward, verifies inward."""
