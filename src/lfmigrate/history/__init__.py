"""What was done to a database: events, what they amount to, and the table that holds them."""
