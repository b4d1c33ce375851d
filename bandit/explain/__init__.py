"""Why a decision was made, and which facts and options matter over a log."""
