"""One module a table or group of tables: reading and writing rows as columns."""
