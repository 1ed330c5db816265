"""What is on disk: migrations, views and seed files. No database, no output."""
