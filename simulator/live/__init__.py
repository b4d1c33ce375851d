"""A live campaign on a simulated market: an engine with groups, and the lift of each beside the truth."""
