"""Questions asked of a log or before a launch: replay, half-life, exploration cost, sample size, warm start."""
