"""Large databases: one customer with very many decisions, and a file of many gigabytes."""
