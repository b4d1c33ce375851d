"""Markets of simulated customers: facts, tastes, seasons and responses, and the policies that know the truth."""
