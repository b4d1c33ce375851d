"""Offline analyses of a log or before launch, one a module.

`replay` runs a learning policy on a log by rejection sampling, `half_life` selects the half-life of forgetting,
`exploration_cost` estimates the regret of a log's decisions, `sample_size` plans how many decisions a comparison needs,
`warm_start` fits a policy on a log before it goes live. Each module is imported by its own path, such as
`from bandit.analysis.replay import replay`.
"""
