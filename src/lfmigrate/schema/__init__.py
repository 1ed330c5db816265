"""Plain values: relations, other objects, and the differences between two schemas. Pure."""
