"""The spool: a file beside the database that keeps decisions and events while the database cannot take them."""
