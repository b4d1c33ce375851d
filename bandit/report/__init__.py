"""Tables and JSON values made from result records, for a person at a terminal."""
