"""A battery of small files of kinds that real users have, each with its right value."""
