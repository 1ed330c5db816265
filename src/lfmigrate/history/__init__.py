"""What was done to a database: events, the state that follows from them, and their table."""
