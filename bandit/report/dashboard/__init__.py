"""The dashboard: a metadata file that makes a database browsable with Datasette, and the queries in it."""
