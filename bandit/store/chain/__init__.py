"""The chain of hashes over what the store has written: it shows a later change of any row, and of any deletion."""
