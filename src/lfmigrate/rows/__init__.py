"""Rows on their way between tables and files."""
