"""What may be offered to whom: dimensions, options, rules, declared facts and the objective, as checked arrays."""

from bandit.catalogue.catalogue import Catalogue
from bandit.catalogue.dimensions import Dimension, Option
from bandit.catalogue.groups import Groups

__all__ = ["Catalogue", "Dimension", "Groups", "Option"]
