"""Adapters that make other libraries policies, each with the best settings found; a module needs its library."""
