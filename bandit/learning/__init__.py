"""Learning from the log: which outcomes are due, and the state of a policy after learning them."""
