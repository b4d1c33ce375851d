"""Brings a changed catalogue into a database: its policy takes over what the one before has learned."""

from __future__ import annotations

from dataclasses import dataclass

from bandit.catalogue import Catalogue
from bandit.catalogue.changes import CatalogueChange, catalogue_changes
from bandit.errors import InputError
from bandit.learning import CarryReport, PolicyLearner
from bandit.learning.carry import first_state
from bandit.policies import build
from bandit.rollout import RolloutState
from bandit.store import ContextDecoder, Store

RECENT_DECISIONS = 1_000
"""Decisions whose customers are asked what they may get under either catalogue."""


@dataclass(frozen=True, slots=True)
class EligibleOffers:
    """How many offers recent customers may get, in the mean, and the share of them who may get none."""

    mean: float
    none: float


@dataclass(frozen=True, slots=True)
class CatalogueUpdate:
    """What a changed catalogue does to a database: the changes, what is taken over, and the policy that serves it.

    `policy_id` is None for a dry run of a policy that is not there yet, or where no policy is. `carried` says what it
    takes over, None where nothing was learned. `eligible_before` and `eligible_after` are of the customers of the last
    1,000 decisions, `n_recent` their number. `notes` are sentences on what is left to do.
    """

    from_version: str
    version: str
    changes: tuple[CatalogueChange, ...]
    policy_id: int | None
    carried: CarryReport | None
    n_recent: int
    eligible_before: EligibleOffers
    eligible_after: EligibleOffers
    done: bool
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "from_version": self.from_version,
            "version": self.version,
            "changes": [change.to_dict() for change in self.changes],
            "policy_id": self.policy_id,
            "carried": None if self.carried is None else self.carried.to_dict(),
            "recent_decisions": self.n_recent,
            "eligible_before": {"mean": self.eligible_before.mean, "none": self.eligible_before.none},
            "eligible_after": {"mean": self.eligible_after.mean, "none": self.eligible_after.none},
            "done": self.done,
            "notes": list(self.notes),
        }


def update_catalogue(
    store: Store, catalogue: Catalogue, number: int | None, *, dry_run: bool = False
) -> CatalogueUpdate:
    """Register a catalogue with the settings of policy `number`, and let it take over what that policy has learned.

    The policy is the one that serves the database, None where it knows none. Programs go on with the catalogue that
    they opened; `Engine.open` with the new one, or `Engine.resume`, then serves from the carried belief at once. With
    `dry_run` nothing is written. InputError for a database without a catalogue, PolicyError for a policy that the new
    catalogue does not allow, as one that always gives an offer which is gone.
    """
    latest = store.catalogues.latest()
    if latest is None:
        raise InputError(f"{store.path}: the database has no catalogue yet, so nothing can change; import a log")
    catalogue_id, before = latest
    if number is not None:
        catalogue_id, spec = store.catalogues.policy_spec(number)
        before = store.catalogues.get(catalogue_id)
    notes: list[str] = []
    policy_id, carried = None, None
    changes = catalogue_changes(before, catalogue)
    if before.version == catalogue.version:
        policy_id = number
        notes.append("the database has this catalogue already, so nothing changes")
    elif number is None:
        notes.append("the database knows no policy yet, so nothing was learned that could be taken over")
        if not dry_run:
            store.catalogues.register(catalogue)
    else:
        policy = build(catalogue, spec)
        if dry_run:
            first = first_state(store, catalogue, policy, number) if policy.learns else None
            carried = None if first is None else first.report
        else:
            learner = PolicyLearner(store, catalogue, store.catalogues.register(catalogue), policy, carry=True)
            policy_id, carried = learner.policy_id, learner.carried
        notes += _left_to_do(store, number, policy_id)
    n_recent, eligible, eligible_after = _eligible(store, before, catalogue)
    return CatalogueUpdate(
        before.version,
        catalogue.version,
        changes,
        policy_id,
        carried,
        n_recent,
        eligible,
        eligible_after,
        not dry_run,
        tuple(notes),
    )


def _left_to_do(store: Store, before: int, after: int | None) -> list[str]:
    """Return what a roll-out still says of the policy before."""
    latest = store.rollout_changes.latest()
    champion = None if latest is None else RolloutState.from_json(latest.state).champion
    if champion != before:
        return []
    name = "the new policy's number" if after is None else str(after)
    command = f"offer-bandit rollout promote {store.path} {name}"
    return [
        f"the roll-out's champion is still policy {before}: `{command}` makes the new one serve where none is named"
    ]


def _eligible(store: Store, before: Catalogue, after: Catalogue) -> tuple[int, EligibleOffers, EligibleOffers]:
    """Return the number of recent decisions, and what their customers may get under either catalogue."""
    objective = before.objective
    start = max(0, store.decisions.last_seq() - RECENT_DECISIONS)
    recent = store.decisions.page(objective.event, objective.window, after_seq=start, limit=RECENT_DECISIONS)
    found = []
    for catalogue in (before, after):
        if not len(recent):
            found.append(EligibleOffers(float(catalogue.n_offers), 0.0))
            continue
        contexts = ContextDecoder(catalogue).read(recent.context, recent.customer)
        n = catalogue.eligible_sets(catalogue.fired(contexts)).n_eligible
        found.append(EligibleOffers(float(n.mean()), float((n == 0).mean())))
    return len(recent), found[0], found[1]
