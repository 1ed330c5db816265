"""SQL text, as the server reads it. Pure."""
