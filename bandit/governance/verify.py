"""Verification of a log: check the database, and recompute its decisions from their seeds, contexts and policies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import PCG64, Generator

from bandit.decide import with_fallback
from bandit.domain import BoolArray, Contexts, IntArray, Policy, PooledPolicy, Progress
from bandit.errors import OfferBanditError
from bandit.governance.carried_states import is_carried, state_taken_over
from bandit.governance.verify_arms import ArmVerifier
from bandit.learning import StateWalk
from bandit.learning.customer_states import customers_fault, stored_state
from bandit.policies import close
from bandit.policies.keyed_states import is_keyed
from bandit.policies.state import as_before_by_number
from bandit.printable import counted
from bandit.store import CatalogueTranslation, DecisionColumns, PolicyRow, Store, Where, state_hash, whole_batches
from bandit.store.corruption import DECODING_FAULTS, raise_if_damaged
from bandit.tabular import Cell, Tabular

PROPENSITY_TOLERANCE = 1e-9
"""Largest difference between a logged and a recomputed propensity."""

ROUNDED_TOLERANCE = 0.05
"""The same if this machine rounds otherwise than the one that decided: a draw or two may have another winner."""

VERIFY_PAGE = 8_192
"""Decisions read at once."""

MAX_PROBLEMS = 100
"""Most problems listed one by one; further ones are counted."""


@dataclass(frozen=True, slots=True)
class VerifyReport(Tabular):
    """Decisions in the log, how many of them were recomputed, and each problem found as a sentence.

    `notes` are sentences on what is not a problem but worth knowing.
    """

    n_decisions: int
    n_recomputed: int
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def html_title(self) -> str:
        """Return the line above the table in a notebook."""
        return f"{counted(self.n_decisions, 'decision')}, {self.n_recomputed:,} of them recomputed"

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a problem or note; none where all is well and there is nothing to note."""
        found = (("problem", self.problems), ("note", self.notes))
        return [{"kind": kind, "sentence": sentence} for kind, sentences in found for sentence in sentences]


class _Findings:
    """The problems and notes found so far."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.n_unlisted = 0

    def add_problem(self, sentence: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(sentence)
        else:
            self.n_unlisted += 1

    def report(self, n_decisions: int, n_recomputed: int) -> VerifyReport:
        more = [f"and {counted(self.n_unlisted, 'more problem')}"] if self.n_unlisted else []
        return VerifyReport(n_decisions, n_recomputed, (*self.problems, *more), tuple(self.notes))


def verify(store: Store, progress: Progress | None = None) -> VerifyReport:
    """Check the database itself, then fold each policy's log and recompute its decisions.

    Imported decisions, those that ended in the fallback because of a fault, and those of a policy that only its
    program can build, are checked as far as the store can, and not recomputed. On the machine that decided, states
    and propensities are equal to the last bit. Another processor's arithmetic may differ in the last digits and so,
    rarely, in a draw's winner: if a state shows that it does, this is noted, the newest state must agree up to
    rounding, and propensities within 0.05.
    """
    findings = _Findings()
    for sentence in store.check():
        findings.add_problem(sentence)
    total, done = store.counts().decisions, 0
    for row in store.catalogues.policies():
        try:
            verifier = _PolicyVerifier(store, row, findings)
        except (OfferBanditError, *DECODING_FAULTS) as fault:
            findings.add_problem(f"policy {row.id} cannot be rebuilt, so its decisions were not recomputed: {fault}")
            continue
        try:
            for n in verifier.run():
                done += n
                if progress is not None:
                    progress(done, total)
        except DECODING_FAULTS as fault:
            raise_if_damaged(store.path, fault)
            raise
    return findings.report(total, done)


class _PolicyVerifier:
    """Recomputes the decisions of one policy, moving its state along the steps."""

    def __init__(self, store: Store, row: PolicyRow, findings: _Findings) -> None:
        self.store = store
        self.policy_id = row.id
        self.findings = findings
        # Others may decide and learn meanwhile: decisions up to this one were made with steps that are in the ledger.
        self.through = store.decisions.last_seq()
        self.hashes = {step.step: step.state_hash for step in store.ledger.steps(row.id)}
        self.walk = StateWalk(store, row.id, self._arrived)
        self._check_newest_snapshot()
        self._check_taken_over()
        self.catalogue = self.walk.catalogue
        self.translation = CatalogueTranslation(store, self.catalogue)
        self.arms = ArmVerifier(store, self.walk)
        self.row = row
        self.n_not_recomputable = 0
        self.n_without_seed = 0
        self.has_deletions = store.journal_has_deletions()
        self.without_other: Counter[str] = Counter()
        self.tolerance = PROPENSITY_TOLERANCE

    def _check_newest_snapshot(self) -> None:
        """Raise StoreError or PolicyError where the state that an engine would begin with cannot be had."""
        if not self.hashes:
            return
        history = self.walk.history
        newest = history.newest_snapshot()
        state = history.load(newest, self.walk.new_policy())
        fault = customers_fault(self.store, self.policy_id, newest, state.policy)
        if fault:
            self.findings.add_problem(f"policy {self.policy_id}: {fault}; rebuild it")
        history.fold(state, max(self.hashes))

    def _check_taken_over(self) -> None:
        """Compute a state that was taken over from another policy again, unless a deletion has changed that one."""
        row, first = self.store.carried.of(self.policy_id), self.store.ledger.snapshot(self.policy_id, newest=False)
        if row is None or first is None or first.step or not is_carried(row) or self.store.journal_has_deletions():
            return
        again = state_taken_over(self.store, row)
        if again is not None and not close(again, first.state):
            self.findings.add_problem(
                f"policy {self.policy_id}: computed again, the belief that it took over from policy "
                f"{row.from_policy_id} at step {row.from_step} is not the one logged"
            )

    def run(self) -> Iterator[int]:
        """Yield the number of recomputed decisions of each page; then fold to the last step."""
        objective = self.catalogue.objective
        for columns, starts in whole_batches(
            self.store,
            objective.event,
            objective.window,
            through_seq=self.through,
            limit=VERIFY_PAGE,
            where=Where(policy_id=self.policy_id),
        ):
            yield self._recompute_batches(columns, starts)
        if self.n_not_recomputable:
            self.findings.notes.append(
                f"policy {self.policy_id}: {counted(self.n_not_recomputable, 'decision', ('was', 'were'))} made with "
                "states that an erasure or a retention run changed, so only what was eligible is computed again"
            )
        if self.n_without_seed:
            self.findings.notes.append(
                f"policy {self.policy_id}: {counted(self.n_without_seed, 'decision', ('was', 'were'))} made in one "
                "call with decisions that an erasure or a retention run removed, so the draw cannot be computed again, "
                "only what was eligible; `verify --chain` shows whether they are as they were written"
            )
        for fault, n in self.without_other.items():
            self.findings.add_problem(
                f"policy {self.policy_id}: {counted(n, 'decision', ('was', 'were'))} made under a roll-out that cannot "
                f"be had again, so they were not recomputed: {fault}"
            )
        self.walk.move_to(max(self.hashes, default=0))

    def _recompute_batches(self, columns: DecisionColumns, starts: IntArray) -> int:
        ends = np.append(starts[1:], len(columns))
        n = 0
        # Processes decide with states a few steps apart: in order of step, no step is folded more than twice.
        for place in np.argsort(columns.policy_step[starts], kind="stable").tolist():
            n += self._recompute(columns.take(slice(starts[place], ends[place])))
        return n

    def _recompute(self, batch: DecisionColumns) -> int:
        if batch.fault[0] is not None or (batch.seed[0] is None and not self.has_deletions):
            return 0
        if not self.row.has_state_of(batch.policy_step[:1]).all():
            self.n_not_recomputable += len(batch)
            self._check_eligible(batch)
            return 0
        policy = self.walk.move_to(int(batch.policy_step[0]))
        if self.catalogue.groups is not None:
            self._check_groups(batch)
        if batch.seed[0] is None:
            return self._recompute_without_seed(policy, batch)
        contexts = self._contexts(batch)
        try:
            choice, found = self.arms.recompute(policy, batch, contexts)
            wrong_arms = tuple(found)
        except OfferBanditError as fault:  # of another live policy, or of the roll-out
            self.without_other[str(fault)] += len(batch)
            return 0
        eligible = self.store.eligible_sets.masks(batch.eligible_set_id, self.catalogue.n_offers)
        for wrong, what in (
            ((choice.eligible != eligible).any(axis=1), "other offers are eligible"),
            (choice.offer != batch.offer, "another offer is drawn"),
            (np.abs(choice.propensity - batch.propensity) > self.tolerance, "the propensity is another"),
            *wrong_arms,
        ):
            for row in np.flatnonzero(wrong).tolist():
                self.findings.add_problem(
                    f'decision "{batch.decision_id[row]}": computed again, {what} than the log has'
                )
        return len(batch)

    def _recompute_without_seed(self, policy: Policy, batch: DecisionColumns) -> int:
        """Compute again what decisions that were made in one call with a deleted one do not owe to the generator.

        Its seed is of all ids of the call. Where the probabilities are the same with any generator, they are compared.
        """
        eligible = self._check_eligible(batch)
        contexts = self.translation.decisions(batch, masks=False)[1].contexts
        try:
            one, *others = (policy.probabilities(contexts, eligible, rng) for rng in _differing_generators(policy))
        except Exception:  # noqa: BLE001 - a model may raise anything; the decision itself was no fallback
            one, others = np.zeros(eligible.shape), [np.ones(eligible.shape)]
        if not all(np.array_equal(one, other) for other in others) or len(self.store.decision_arms.of(batch.seq)):
            self.n_without_seed += len(batch)
            return 0
        expected = one[np.arange(len(batch)), batch.offer]
        for row in np.flatnonzero(np.abs(expected - batch.propensity) > self.tolerance).tolist():
            self.findings.add_problem(
                f'decision "{batch.decision_id[row]}": computed again, the propensity is another than the log has'
            )
        return len(batch)

    def _check_eligible(self, batch: DecisionColumns) -> BoolArray:
        """Compare the eligible offers with those that the catalogue's rules give, without a state; return these."""
        contexts = self._contexts(batch)
        expected = with_fallback(self.catalogue, self.catalogue.eligible(contexts), contexts)
        eligible = self.store.eligible_sets.masks(batch.eligible_set_id, self.catalogue.n_offers)
        for row in np.flatnonzero((expected != eligible).any(axis=1)).tolist():
            self.findings.add_problem(
                f'decision "{batch.decision_id[row]}": computed again, other offers are eligible than the log has'
            )
        return expected

    def _contexts(self, batch: DecisionColumns) -> Contexts:
        """Return the contexts of decisions; which rules on facts that are not stored held, the eligible offers say."""
        contexts = self.translation.decisions(batch, masks=False)[1].contexts
        if not self.catalogue.unstored:
            return contexts
        eligible = self.store.eligible_sets.masks(batch.eligible_set_id, self.catalogue.n_offers)
        return self.catalogue.with_rules_that_held(contexts, eligible)

    def _check_groups(self, batch: DecisionColumns) -> None:
        groups = self.catalogue.groups
        for row in np.flatnonzero(~np.isin(batch.group, () if groups is None else groups.names)).tolist():
            self.findings.add_problem(
                f'decision "{batch.decision_id[row]}": its group "{batch.group[row]}" is not one that the catalogue '
                "declares"
            )

    def _arrived(self, step: int, policy: Policy) -> None:
        """Compare the state that a step led to with the one logged."""
        if not self.hashes.get(step):
            return
        state = stored_state(policy)
        if state_hash(state) == self.hashes[step]:
            return
        if is_keyed(state) and state_hash(policy.dumps()) == self.hashes[step]:  # written before states were keyed
            return
        if state_hash(as_before_by_number(policy.dumps())) == self.hashes[step]:
            return
        if self.tolerance == PROPENSITY_TOLERANCE:
            self.tolerance = ROUNDED_TOLERANCE
            self.findings.notes.append(
                f"policy {self.policy_id}: from step {step} on, this machine computes another state than the one "
                "logged, in the last digits at least; propensities are compared within 0.05"
            )
        newest = self.store.ledger.snapshot(self.policy_id, newest=True)
        if newest is not None and newest.step == step and not close(state, newest.state):
            self.findings.add_problem(
                f"policy {self.policy_id}: computed again, its state after step {step} is not the one logged"
            )


def _differing_generators(policy: Policy) -> list[Generator]:
    """Return generators with which the policy's probabilities are all that they can be, as far as that is known."""
    if not isinstance(policy, PooledPolicy):
        return [Generator(PCG64(seed)) for seed in (1, 2)]
    seeds: dict[int, int] = {}
    seed = 0
    while len(seeds) < policy.draw_sets:
        seed += 1
        seeds.setdefault(int(Generator(PCG64(seed)).integers(policy.draw_sets)), seed)
    return [Generator(PCG64(each)) for each in seeds.values()]
