"""What one file holds and one job decides: many customers with history, and a day of a million decisions."""
