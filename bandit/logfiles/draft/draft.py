"""From a log file that was never seen before to a catalogue, a mapping and segment rules that read it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandit.catalogue import Catalogue
from bandit.domain import Progress
from bandit.errors import LogFileError
from bandit.logfiles.draft.documents import UNKNOWN_MEANS, Drafted, catalogue_text, mapping_text, rules_text
from bandit.logfiles.draft.fact_drafts import draft_facts
from bandit.logfiles.draft.offers import LeverDraft, draft_lever, never_for, never_together, row_offers
from bandit.logfiles.draft.practice import find_practice
from bandit.logfiles.draft.records import DraftOptions, Guess
from bandit.logfiles.draft.roles import find_roles
from bandit.logfiles.draft.sample import sample_file
from bandit.logfiles.draft.trial import TRIAL_LEVEL, TrialTest, trial_test
from bandit.logfiles.mapping.mapping import UNKNOWN_PROPENSITY, LogMapping
from bandit.policies import SegmentRules
from bandit.tabular import Tabular

if TYPE_CHECKING:
    from bandit.domain import IntArray
    from bandit.logfiles.draft.records import Roles
    from bandit.logfiles.draft.sample import FileSample
    from bandit.tabular import Cell

_MOST_SHARES = 100
_MOST_OFFERS = 1_000_000


@dataclass(frozen=True, slots=True)
class LogDraft(Tabular):
    """A drafted catalogue, mapping and segment rules as texts of TOML, with what was guessed and what was left out.

    `n_rows` rows were looked at, which are all of the file where `whole` is true. `random` is whether offers seem to be
    drawn at random with constant shares. `baseline` is the offer that the rules give everybody, None where they have
    segments.
    """

    catalogue: str
    mapping: str
    rules: str
    guesses: tuple[Guess, ...]
    left_out: tuple[Guess, ...]
    n_rows: int
    n_columns: int
    whole: bool
    random: bool
    n_offers: int
    baseline: Mapping[str, str] | None

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a guess, those left out at the end."""
        return [
            {"role": guess.role, "column": guess.column, "reason": guess.reason}
            for guess in (*self.guesses, *self.left_out)
        ]

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values, without the texts of the files."""
        return {
            "n_rows": self.n_rows,
            "n_columns": self.n_columns,
            "whole": self.whole,
            "random": self.random,
            "n_offers": self.n_offers,
            "guesses": self.to_rows()[: len(self.guesses)],
            "left_out": self.to_rows()[len(self.guesses) :],
        }


def draft_log(path: str | Path, options: DraftOptions | None = None, *, progress: Progress | None = None) -> LogDraft:
    """Look at a CSV, gzipped CSV or Parquet file and draft what reads it.

    The first rows are looked at (100,000, fewer where there are many columns), and the whole file for options and
    values that come later. The drafted texts are valid: they were read back. LogFileError where the file is no table
    with one row a decision, and where the offer or the outcome cannot be guessed: the message names the option that
    says it. InputError for options that do not fit the file.
    """
    path, options = Path(path), options or DraftOptions()
    sample = sample_file(path, progress)
    roles, _ = find_roles(sample, options)
    texts = [each.name for each in (*roles.levers, *(fact for fact in roles.facts if fact.looks != "number"))]
    later = sample.later_texts(texts, progress)
    levers = tuple(draft_lever(each, later[each.name]) for each in roles.levers)
    facts = draft_facts(roles.facts, later)
    _check_size(path, levers)
    offer, offers = row_offers(levers)
    trial = _trial(sample, roles, offer, len(offers))
    names = [tuple(lever.options[place] for lever, place in zip(levers, each, strict=True)) for each in offers]
    propensity, shares, reason = _propensities(roles, options, trial, names)
    known = propensity != UNKNOWN_PROPENSITY
    conditional = tuple(never_for(levers, facts))
    random = trial is not None and trial.balanced
    drafted = Drafted(
        file=path.name,
        name=path.name.split(".")[0] or "offers",
        roles=roles,
        delimiter=sample.delimiter,
        levers=levers,
        facts=tuple(facts),
        forbids=(*never_together(levers), *(conditional if known else ())),
        suggestions=() if known else conditional,
        practice=find_practice(levers, offer, offers, facts, random=random, baseline=options.baseline),
        propensity=propensity,
        propensities=shares,
        propensity_reason=reason,
        margin=options.margin,
    )
    guesses = list(roles.guesses)
    if roles.propensity is None:
        guesses.append(Guess("", "propensity", reason))
    practice = drafted.practice
    shown = ", ".join(practice.otherwise) if not practice.segments else f"{len(practice.segments) + 1} segments"
    guesses.append(Guess("", "baseline", f"{shown}: {practice.reason}"))
    return _checked(path, drafted, sample, guesses, random=random)


def _checked(path: Path, drafted: Drafted, sample: FileSample, guesses: Sequence[Guess], *, random: bool) -> LogDraft:
    """Return the draft whose texts have been read back."""
    catalogue, mapping, rules = catalogue_text(drafted), mapping_text(drafted), rules_text(drafted)
    read = Catalogue.from_dict(tomllib.loads(catalogue), where=f"{path}: the drafted catalogue")
    LogMapping.from_dict(tomllib.loads(mapping), where=f"{path}: the drafted mapping")
    SegmentRules.from_dict(read, tomllib.loads(rules), where=f"{path}: the drafted rules")
    return LogDraft(
        catalogue=catalogue,
        mapping=mapping,
        rules=rules,
        guesses=tuple(guesses),
        left_out=drafted.roles.left_out,
        n_rows=sample.n,
        n_columns=len(sample.columns),
        whole=sample.whole,
        random=random,
        n_offers=read.n_offers,
        baseline=None if drafted.practice.segments else drafted.offer(drafted.practice.otherwise),
    )


def _check_size(path: Path, levers: Sequence[LeverDraft]) -> None:
    n = int(np.prod([len(lever.options) for lever in levers], dtype=np.float64))
    if n > _MOST_OFFERS:
        names = " and ".join(f'"{lever.name}" ({len(lever.options):,})' for lever in levers)
        raise LogFileError(
            f"{path}: {names} have {n:,} combinations, too many for a draft; name the columns of the offer by --offer"
        )


def _trial(sample: FileSample, roles: Roles, offer: IntArray, n_offers: int) -> TrialTest | None:
    customers = None if roles.customer is None else sample.columns[roles.customer].codes
    return trial_test(offer, n_offers, roles.facts, customers)


def _propensities(
    roles: Roles, options: DraftOptions, trial: TrialTest | None, names: Sequence[tuple[str, ...]]
) -> tuple[str, tuple[tuple[tuple[str, ...], str], ...], str]:
    """Return the propensity of all rows, or those by offer, and why."""
    if roles.propensity is not None:
        reason = next(guess.reason for guess in roles.guesses if guess.role == "propensity")
        return roles.propensity, (), reason
    if options.propensity is not None:
        why = UNKNOWN_MEANS if options.propensity == UNKNOWN_PROPENSITY else "as you said, the same for every row"
        return options.propensity, (), why
    if trial is None:
        return (
            UNKNOWN_PROPENSITY,
            (),
            f"no column has it, and there is nothing to test whether offers were random; {UNKNOWN_MEANS}",
        )
    tests = f"{trial.n_tests} chi-square tests with the facts, pairs of facts and the order of the rows"
    if not trial.balanced:
        p_value = f"p = {trial.p_value:.2g}" if trial.p_value > 1e-12 else "p < 1e-12"
        reason = f"no column has it, and the offer depends on {trial.worst} ({p_value} for all of {tests} together, "
        return UNKNOWN_PROPENSITY, (), f"{reason}level {TRIAL_LEVEL:.0%}); {UNKNOWN_MEANS}"
    if len(names) > _MOST_SHARES and not trial.equal:
        reason = f"no column has it, and {len(names)} offers have shares of their own"
        return UNKNOWN_PROPENSITY, (), f"{reason}; {UNKNOWN_MEANS}"
    shares = trial.propensities
    listed = ", ".join(f"{'/'.join(each)} {share}" for each, share in list(zip(names, shares, strict=True))[:6])
    what = f"{shares[0]} each" if trial.equal else listed
    reason = (
        f"no column has it, and the offers look drawn at random, {what}: {tests} find nothing (p = {trial.p_value:.2g} "
        f'for all together, level {TRIAL_LEVEL:.0%}); where they were not random, put "unknown"'
    )
    if trial.equal:
        return shares[0], (), reason
    return "", tuple(zip(names, shares, strict=True)), reason
