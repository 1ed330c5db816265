"""The commands, a file each: they take a connection, return a report, and never print."""
