"""What may be offered to whom: dimensions, options, rules, declared facts and the objective, as checked arrays."""

from bandit.catalogue.catalogue import Catalogue
from bandit.catalogue.dimensions import Dimension, Option

__all__ = ["Catalogue", "Dimension", "Option"]
