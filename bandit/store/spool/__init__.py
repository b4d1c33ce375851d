"""The spool: a file beside the database that holds decisions and events while the database cannot be written."""
