"""Running a policy or an engine against arriving customers, and the log of such a run."""
