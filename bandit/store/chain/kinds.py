"""The kinds of rows that the chain covers, and how each is read for its hash.

What is hashed of a row never changes once a program with it is released, or old links could not be checked any more: a
table that gets another column gets a kind with another code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

MAX_NUMBER = (1 << 62) - 1
"""Above every number of a row."""

Row = tuple[Any, ...]
"""The owner and the number of a row, and then its values: this is what is hashed."""

Reader = Callable[["sqlite3.Connection", int, int, int], "Iterator[Row]"]


@dataclass(frozen=True, slots=True)
class ChainedKind:
    """A kind of rows: its code in the links, its name in sentences, and what reads them in order of number.

    `read(raw, owner, first, last)` yields the rows of an owner, a policy or 0, with numbers in a range. With `latest`
    a row may have several places in the chain, of which the last one holds: the program changes such rows. With
    `several`, rows share a number. `owners` selects the owners, where they are policies.
    """

    code: int
    name: str
    read: Reader
    latest: bool = False
    several: bool = False
    owners: str | None = None


def _rows(statement: str) -> Reader:
    def read(raw: sqlite3.Connection, owner: int, first: int, last: int) -> Iterator[Row]:
        return iter(raw.execute(statement, {"owner": owner, "first": first, "last": last}))

    return read


_DECISIONS = """
SELECT 0, d.seq, d.catalogue_id, d.policy_id, d.policy_step, d.seed, d.batch, d.fault, d.decision_id, d.time,
    d.customer_id, d.eligible_set_id, d.offer, d.propensity, d.grp, d.position, d.context, d.probabilities,
    a.change_id, a.arm, a.mixture, a.shadow_offer, a.shadow_propensity, w.weight
FROM decisions d LEFT JOIN decision_arms a ON a.seq = d.seq LEFT JOIN decision_weights w ON w.seq = d.seq
WHERE d.seq BETWEEN :first AND :last ORDER BY d.seq
"""

_EVENTS = """
SELECT 0, id, seq, event_id, version, event, time, recorded_at, revenue, reward, corrects
FROM events WHERE id BETWEEN :first AND :last ORDER BY id
"""

_CUSTOMERS = "SELECT 0, id, key FROM customers WHERE id BETWEEN :first AND :last ORDER BY id"

_SETS = """
SELECT 0, id, catalogue_id, digest, bits, removals FROM eligible_sets WHERE id BETWEEN :first AND :last ORDER BY id
"""

# Numbered by decision; a decision can have several.
_REPEATS = """
SELECT 0, seq, decision_id, time, context, through FROM repeats WHERE seq BETWEEN :first AND :last
ORDER BY seq, decision_id
"""

_CATALOGUES = """
SELECT 0, c.id, c.version, c.name, c.n_offers, c.objective_event, c.objective_window, c.content, x.extends
FROM catalogues c LEFT JOIN catalogue_extensions x ON x.catalogue_id = c.id
WHERE c.id BETWEEN :first AND :last ORDER BY c.id
"""
_OFFERS = "SELECT catalogue_id, offer, options FROM offers WHERE catalogue_id = ? ORDER BY offer"

_POLICIES = """
SELECT 0, p.id, p.catalogue_id, p.spec, p.base_step, p.decides_from, c.from_policy_id, c.from_step, c.time, c.details
FROM policies p LEFT JOIN carried_policies c ON c.policy_id = p.id
WHERE p.id BETWEEN :first AND :last ORDER BY p.id
"""
_CHANGED = (
    "SELECT policy_id, first_step, last_step FROM changed_states WHERE policy_id = ? ORDER BY first_step, last_step"
)

_CHANGES = """
SELECT 0, id, time, author, action, reason, state FROM rollout_changes WHERE id BETWEEN :first AND :last ORDER BY id
"""

_IMPORTS = """
SELECT 0, id, time, file, digest, catalogue_id, n_rows, n_imported, n_repeated, n_refused, details
FROM imports WHERE id BETWEEN :first AND :last ORDER BY id
"""

_JOURNAL = "SELECT 0, id, kind, time, details FROM upkeep WHERE id BETWEEN :first AND :last ORDER BY id"

_STEPS = """
SELECT policy_id, step, recorded_at FROM policy_steps WHERE policy_id = :owner AND step BETWEEN :first AND :last
ORDER BY step
"""
LEARNED_OF_STEPS = """
SELECT step, seq, weight, converted, revenue, value, restated, was_weight, was_converted, was_revenue, was_value,
    through
FROM learned WHERE policy_id = ? AND step BETWEEN ? AND ? ORDER BY step, seq
"""
STAGES_OF_STEPS = """
SELECT step, seq, stage, was_stage FROM learned_stages WHERE policy_id = ? AND step BETWEEN ? AND ? ORDER BY step, seq
"""

# A step whose state has not been written yet has an empty hash, and no place in the chain.
_STATES = """
SELECT policy_id, step, state_hash FROM policy_steps
WHERE policy_id = :owner AND step BETWEEN :first AND :last AND state_hash <> '' ORDER BY step
"""

_REACH = """
SELECT 0, policy_id, criterion, event, seq, time, levels, to_event, to_seq, to_time, to_levels, position
FROM learning_reach WHERE policy_id BETWEEN :first AND :last ORDER BY policy_id
"""

# The other marks of `meta` come and go.
_KEY_CHECK = "SELECT 0, 1, value FROM meta WHERE name = 'customer_key_check' AND 1 BETWEEN :first AND :last"

_WITH_STEPS = "SELECT DISTINCT policy_id FROM policy_steps ORDER BY policy_id"


def _with_parts(statement: str, parts: str) -> Reader:
    """Read rows with the rows of another table that belong to each."""

    def read(raw: sqlite3.Connection, owner: int, first: int, last: int) -> Iterator[Row]:
        for row in raw.execute(statement, {"owner": owner, "first": first, "last": last}).fetchall():
            yield (*row, [each[1:] for each in raw.execute(parts, (row[1],))])

    return read


def _steps(raw: sqlite3.Connection, owner: int, first: int, last: int) -> Iterator[Row]:
    """Yield steps with the outcomes and the stages that each learned."""
    learned = _by_step(raw.execute(LEARNED_OF_STEPS, (owner, first, last)))
    stages = _by_step(raw.execute(STAGES_OF_STEPS, (owner, first, last)))
    for policy_id, step, recorded_at in raw.execute(_STEPS, {"owner": owner, "first": first, "last": last}):
        yield policy_id, step, recorded_at, learned(step), stages(step)


def stored_outcomes(raw: sqlite3.Connection, policy_id: int, step: int) -> tuple[list[Row], list[Row]]:
    """Return the outcomes and the stages that one step learned, as `STEPS` hashes them."""
    one = policy_id, step, step
    learned = [row[1:] for row in raw.execute(LEARNED_OF_STEPS, one)]
    return learned, [row[1:] for row in raw.execute(STAGES_OF_STEPS, one)]


def _by_step(rows: Iterable[Row]) -> Callable[[int], list[Row]]:
    """Return what gives the rows of each step, asked for in order, without the step."""
    groups = groupby(rows, key=itemgetter(0))
    ahead: list[tuple[int, list[Row]]] = []

    def of(step: int) -> list[Row]:
        while not ahead or ahead[0][0] < step:
            found = next(groups, None)
            ahead[:] = [(MAX_NUMBER, []) if found is None else (found[0], [row[1:] for row in found[1]])]
        return ahead[0][1] if ahead[0][0] == step else []

    return of


DECISIONS = ChainedKind(0, "decision", _rows(_DECISIONS))
EVENTS = ChainedKind(1, "event", _rows(_EVENTS))
CUSTOMERS = ChainedKind(2, "customer", _rows(_CUSTOMERS), latest=True)
SETS = ChainedKind(3, "eligible set", _rows(_SETS))
REPEATS = ChainedKind(4, "repeat of decision", _rows(_REPEATS), several=True)
CATALOGUES = ChainedKind(5, "catalogue", _with_parts(_CATALOGUES, _OFFERS), latest=True)
POLICIES = ChainedKind(6, "policy", _with_parts(_POLICIES, _CHANGED), latest=True)
CHANGES = ChainedKind(7, "change of the roll-out", _rows(_CHANGES))
IMPORTS = ChainedKind(8, "import", _rows(_IMPORTS))
JOURNAL = ChainedKind(9, "maintenance run", _rows(_JOURNAL))
STEPS = ChainedKind(10, "step", _steps, owners=_WITH_STEPS)
STATES = ChainedKind(11, "state after step", _rows(_STATES), latest=True, owners=_WITH_STEPS)
REACH = ChainedKind(12, "progress of learning of policy", _rows(_REACH), latest=True)
KEY_CHECK = ChainedKind(13, "check of the customer key", _rows(_KEY_CHECK), latest=True)

KINDS = (
    DECISIONS, EVENTS, CUSTOMERS, SETS, REPEATS, CATALOGUES, POLICIES, CHANGES, IMPORTS, JOURNAL, STEPS, STATES, REACH,
    KEY_CHECK,
)  # fmt: skip
"""All kinds, in the order of their codes."""


def owners(raw: sqlite3.Connection, kind: ChainedKind) -> list[int]:
    """Return the owners of a kind's rows: policies, or 0."""
    return [0] if kind.owners is None else [int(row[0]) for row in raw.execute(kind.owners)]
