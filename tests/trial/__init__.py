"""A small sector of the tests' own: `contract` (its messages), `services` (a recorder and a witness)."""
