"""Public service of one locality: cases, permits, field reports and notices."""
