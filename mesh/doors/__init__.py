"""Who may do what, derived from what services declare: never written down a second time (ADR-0019)."""
