"""The tables of the database, one module for each or for a few that belong together."""
