"""The connection to the server. The only package that imports psycopg."""
