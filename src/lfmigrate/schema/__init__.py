"""Plain values: relations, objects, and how two schemas differ. Pure."""
