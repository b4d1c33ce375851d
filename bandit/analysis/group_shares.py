"""Which shares of the customers tell the policy from other groups soonest, and which tell it within a given time.

With v_g the clustered variance of a decision in group g (n times the variance of the mean of n decisions), the lift
over group b after n decisions has the variance (v_p / s_p + v_b / s_b) / n. A share R of the customers is divided among
the policy and the groups that it is told from; other groups keep theirs. Let V be the sum of v_b over the groups b.

**Soonest**: the largest of the variances is smallest where s_b is proportional to v_b, which makes all equal, to
v_p / s_p + V / (R - s_p), and where the policy's share is to the others' together as sqrt(v_p) to sqrt(V). For one
group b these are Neyman's shares, proportional to the standard deviations (Neyman 1934, "On the two different aspects
of the representative method"); for equal variances and k groups the sqrt(k) rule of Dunnett 1955.

**Within a time**: with M the largest variance that tells the lift by then, v_p / s_p + V / (R - s_p) = M is quadratic
in the policy's share, M s^2 - (M R + v_p - V) s + R v_p = 0. Shares between its roots tell the lift in time; none do if
M R < (sqrt(v_p) + sqrt(V))^2.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from bandit.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLANNED_GROUP = "policy"
"""The group whose lift is planned."""

SHARE_ROUNDING = 1e-6
"""Shares that differ by less are the same."""


def fastest_shares(policy: float, others: Mapping[str, float], divided: float = 1.0) -> tuple[float, dict[str, float]]:
    """Return the policy's share and the others' with the smallest largest variance, from variances per decision.

    A policy with the variance 9 against rules with the variance 4: shares as 3 to 2.

    >>> fastest_shares(9.0, {"rules": 4.0})
    (0.6, {'rules': 0.4})
    """
    together = sum(others.values())
    share = divided * sqrt(policy) / (sqrt(policy) + sqrt(together))
    return share, split_share(divided - share, others)


def shares_within(
    policy: float, others: Mapping[str, float], largest: float, divided: float = 1.0, *, larger: bool = True
) -> tuple[float, dict[str, float]] | None:
    """Return the largest (or smallest) share of the policy, and the others', with variances of at most `largest`.

    None where no shares have. With variances of 9 and 4 and at most 50, 50 s^2 - 55 s + 9 = 0 has the roots 0.2 and
    0.9, as 9 / 0.9 + 4 / 0.1 = 50.

    >>> share, _ = shares_within(9.0, {"rules": 4.0}, 50.0)
    >>> round(share, 6)
    0.9
    """
    together = sum(others.values())
    if largest * divided < (sqrt(policy) + sqrt(together)) ** 2:
        return None
    middle = largest * divided + policy - together
    # The roots' product is R v_p / M, which gives the smaller one without a difference of near-equal numbers.
    share = (middle + sqrt(max(middle**2 - 4.0 * largest * divided * policy, 0.0))) / (2.0 * largest)
    if not larger:
        share = divided * policy / (largest * share)
    return share, split_share(divided - share, others)


def split_share(share: float, variances: Mapping[str, float]) -> dict[str, float]:
    """Return a share divided in proportion to the variances, so that all means have the same variance."""
    together = sum(variances.values())
    return {name: share * each / together for name, each in variances.items()}


def check_group_shares(shares: Mapping[str, float]) -> dict[str, float]:
    """Return the groups with a share above 0; InputError unless all are shares that sum to 1, with a policy's group."""
    for name, share in shares.items():
        if not 0.0 <= share <= 1.0:
            raise InputError(f'the share of the group "{name}" is {share:g}; give one between 0 and 1')
    total = sum(shares.values())
    if abs(total - 1.0) > SHARE_ROUNDING:
        raise InputError(f"the shares of the groups sum to {total:.6g}; give shares that sum to 1")
    if not shares.get(PLANNED_GROUP):
        raise InputError(f'there is no group "{PLANNED_GROUP}" with a share above 0; give one, such as policy=0.8')
    found = {name: share for name, share in shares.items() if share > 0.0}
    if len(found) < 2:
        raise InputError(
            "the policy has all customers, so there is nobody to compare it with; give another group a share, such as "
            "rules=0.1"
        )
    return found


def check_compared(shares: Mapping[str, float], against: Sequence[str]) -> tuple[str, ...]:
    """Return the groups that the policy is to be told from, in the order of the shares."""
    others = [name for name, share in shares.items() if name != PLANNED_GROUP and share > 0.0]
    for name in against:
        if name not in others:
            raise InputError(
                f'the policy cannot be told from a group "{name}"; the other groups with a share are '
                f"{', '.join(others)}"
            )
    return tuple(name for name in others if not against or name in against)
