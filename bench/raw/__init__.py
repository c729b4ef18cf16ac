"""The raw parts: what one would write by hand from the same libraries, with none of the promises."""
