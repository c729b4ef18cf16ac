"""The same job written as users of other frameworks write it."""
