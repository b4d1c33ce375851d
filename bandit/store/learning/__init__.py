"""The ledger of learning: which outcomes each policy has learned, step by step, and which are due."""
