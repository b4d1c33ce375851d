"""Adapters: other libraries behind `bandit.domain.Policy`, each at its fair best. A module needs its library."""
