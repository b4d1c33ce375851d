"""The ledger of learning: the outcomes that each policy has learned, step by step, and those that are due."""
