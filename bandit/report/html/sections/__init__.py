"""The sections of a report: each module turns one answer into a finding, charts, tables and what cannot be told."""
