"""The command line: parses, calls a command, prints its report, exits. No SQL."""
