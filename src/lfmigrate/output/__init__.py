"""Reports and errors, for people and as JSON. The only package that imports rich."""
