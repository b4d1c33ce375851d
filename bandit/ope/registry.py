"""The estimators by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.errors import InputError
from bandit.ope.dm import DirectMethod
from bandit.ope.dr import DoublyRobust
from bandit.ope.dr_os import ShrunkDR
from bandit.ope.ips import Ips
from bandit.ope.sndr import SelfNormalisedDR
from bandit.ope.snips import Snips
from bandit.ope.switch_dr import SwitchDR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bandit.ope.estimator import Estimator

ESTIMATORS: dict[str, Estimator] = {
    each.name: each
    for each in (Ips(), Snips(), DirectMethod(), DoublyRobust(), SelfNormalisedDR(), SwitchDR(), ShrunkDR())
}

DEFAULT: tuple[str | Estimator, ...] = tuple(ESTIMATORS)


def resolve(estimators: Sequence[str | Estimator], *, predictions: bool) -> tuple[Estimator, ...]:
    """Return the estimators asked for; the default set without predictions is those that need none.

    InputError for an unknown name, for none at all, and for an estimator asked for by name that lacks predictions.
    """
    if isinstance(estimators, str):
        raise InputError(f'estimators is the text "{estimators}"; give a list of names')
    chosen = tuple(_by_name(each) if isinstance(each, str) else each for each in estimators)
    if not chosen:
        raise InputError(f"no estimator was asked for; choose from {', '.join(ESTIMATORS)}")
    if predictions:
        return chosen
    without = tuple(each for each in chosen if not each.needs_predictions)
    if len(without) < len(chosen) and estimators is not DEFAULT:
        names = ", ".join(each.name for each in chosen if each.needs_predictions)
        raise InputError(
            f"{names} needs predicted_logged and predicted_target, which are not given; give them or ask for ips "
            "and snips"
        )
    return without


def _by_name(name: str) -> Estimator:
    if name not in ESTIMATORS:
        raise InputError(f'there is no estimator "{name}"; choose from {", ".join(ESTIMATORS)}')
    return ESTIMATORS[name]
