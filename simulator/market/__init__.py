"""Markets: facts, tastes, seasons and responses of synthetic customers, and the policies that know the truth."""
