"""One module per command: takes a connection, returns a report, never prints."""
