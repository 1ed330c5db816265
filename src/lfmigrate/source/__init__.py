"""What is on disk: migrations, views, seed files."""
