"""`init --from`: drafts the files for a log, says what was guessed, and evaluates for the first time."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bandit.cli.console import note, progress, show, show_json
from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.evaluate import Evaluation
    from bandit.logfiles import ColumnLog, DraftOptions, LogDraft

DRAFT_FILES = ("catalogue.toml", "mapping.toml", "rules.toml")
"""The files that are drafted."""

MOST_COMPARED = 12
"""With at most so many offers, the first evaluation also judges each as a policy for everybody."""

_DATABASE = "offers.db"


@dataclass(frozen=True, slots=True)
class DraftRequest:
    """What `init --from` was asked for."""

    log: Path
    directory: Path
    force: bool
    evaluate: bool
    seed: int
    as_json: bool


def draft_files(request: DraftRequest, options: DraftOptions) -> None:
    """Draft the files, write and print them, and evaluate; InputError where a file is there already."""
    from bandit.logfiles import draft_log

    directory = request.directory
    existing = [name for name in DRAFT_FILES if (directory / name).exists()]
    if existing and not request.force:
        raise InputError(
            f"{directory}: has {', '.join(existing)} already; choose another directory, or overwrite with --force"
        )
    with progress("looking at the file") as report:
        draft = draft_log(request.log, options, progress=report)
    _write(directory, draft)
    log = _read(request)
    commands = _next_commands(request, draft)
    result = None
    if request.as_json:
        if request.evaluate and log.n:
            result = _evaluation(request, draft, log)
        show_json(_as_json(request, draft, log, commands, result))
        return
    show([], [*_guesses(request, draft), *_read_lines(log)])
    if request.evaluate and log.n:
        _show_evaluation(request, draft)
    show([], ["", "Next:", *(f"  {line}" for line in commands)])


def _write(directory: Path, draft: LogDraft) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in zip(DRAFT_FILES, (draft.catalogue, draft.mapping, draft.rules), strict=True):
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as fault:
        raise InputError(f"{directory}: cannot be written: {fault.strerror}; choose another directory") from fault


def _read(request: DraftRequest) -> ColumnLog:
    """Return the log as the drafted files read it."""
    from bandit.catalogue import Catalogue
    from bandit.logfiles import LogMapping, open_file

    catalogue, mapping = (request.directory / name for name in DRAFT_FILES[:2])
    with progress("reading") as report:
        return open_file(
            request.log, Catalogue.from_toml(catalogue), LogMapping.from_toml(mapping), progress=report, max_listed=20
        )


def _guesses(request: DraftRequest, draft: LogDraft) -> list[str]:
    rows = f"{draft.n_rows:,} rows" if draft.whole else f"the first {draft.n_rows:,} rows"
    lines = [f"{request.log}: {rows}, {draft.n_columns:,} columns", "", "What was guessed, and why:"]
    for guess in draft.guesses:
        column = f" {guess.column}" if guess.column else ""
        lines.append(f"  {guess.role}{column}: {guess.reason}")
    if draft.left_out:
        lines += ["", "Left out:"]
        lines += [f"  {guess.column}: {guess.reason}" for guess in draft.left_out[:20]]
        if len(draft.left_out) > 20:
            lines.append(f"  and {len(draft.left_out) - 20:,} more columns, which catalogue.toml names")
    files = ", ".join(str(request.directory / name) for name in DRAFT_FILES)
    return [
        *lines,
        "",
        f"Written: {files}. Each guess is a comment there; correct what is wrong and run `evaluate` again.",
    ]


def _read_lines(log: ColumnLog) -> list[str]:
    report = log.report
    if not report.n_refused:
        return [f"They read all {report.n_rows:,} rows."]
    first = report.refused[0]
    refused = f"{report.n_refused:,} are refused, the first at line {first.line}: {first.reason}"
    return [f"They read {report.n_imported:,} of {report.n_rows:,} rows; {refused}."]


def _policies(request: DraftRequest, draft: LogDraft) -> tuple[list[str], str]:
    """Return the policies of the first evaluation and its baseline, as the command line names them."""
    everyone = ["everyone"] if draft.n_offers <= MOST_COMPARED else []
    if draft.baseline is None:
        return [*everyone, "thompson"], f"rules:{request.directory / DRAFT_FILES[2]}"
    pairs = [f"{name}={option}" for name, option in draft.baseline.items()]
    plain = all(pair.count("=") == 1 and "," not in pair and pair == pair.strip() for pair in pairs)
    offer = ",".join(pairs) if plain else json.dumps(dict(draft.baseline), ensure_ascii=False)
    return [*everyone, "thompson"], f"offer:{offer}"


def _next_commands(request: DraftRequest, draft: LogDraft) -> list[str]:
    catalogue, mapping, rules = (shlex.quote(str(request.directory / name)) for name in DRAFT_FILES)
    policies, baseline = _policies(request, draft)
    judged = " ".join(f"--policy {each}" for each in policies)
    log, files = shlex.quote(str(request.log)), f"--catalogue {catalogue} --mapping {mapping}"
    evaluate = f"offer-bandit evaluate {log} {files} {judged} --baseline {shlex.quote(baseline)}"
    return [
        *([evaluate] if _is_log_file(request.log) else []),
        f"offer-bandit import {_DATABASE} {log} {files}",
        f"offer-bandit learn-offline {_DATABASE} --policy thompson --baseline rules:{rules} --into new.db",
    ]


def _is_log_file(path: Path) -> bool:
    """Return whether `evaluate` takes a file of this name for a log file."""
    from bandit.cli.logs import LOG_FILE_ENDINGS

    return path.name.endswith(LOG_FILE_ENDINGS)


def _show_evaluation(request: DraftRequest, draft: LogDraft) -> None:
    from bandit.cli.evaluate import evaluate

    if not _is_log_file(request.log):
        note(f"note: the name {request.log.name} does not end as that of a log file, so import it before you evaluate")
        return
    catalogue, mapping = (request.directory / name for name in DRAFT_FILES[:2])
    policies, baseline = _policies(request, draft)
    show([], [""])
    evaluate(request.log, policies, baseline=baseline, catalogue=catalogue, mapping=mapping, seed=request.seed)


def _evaluation(request: DraftRequest, draft: LogDraft, log: ColumnLog) -> Evaluation:
    import numpy as np

    from bandit.catalogue import Catalogue
    from bandit.cli.evaluate import DEFAULT_SPLIT
    from bandit.cli.policies import parse_policies
    from bandit.evaluate import evaluate

    catalogue = Catalogue.from_toml(request.directory / DRAFT_FILES[0])
    named, baseline = parse_policies(catalogue, *_policies(request, draft))
    with progress("evaluating") as report:
        return evaluate(
            log,
            named,
            baseline,
            catalogue=catalogue,
            rng=np.random.default_rng(request.seed),
            estimators=("dr", "snips"),
            split=DEFAULT_SPLIT,
            progress=report,
        )


def _as_json(
    request: DraftRequest, draft: LogDraft, log: ColumnLog, commands: list[str], result: Evaluation | None
) -> dict[str, object]:
    from bandit.evaluate import verdicts
    from bandit.report.imports import import_json

    evaluation = None if result is None else result.to_dict() | {"verdicts": verdicts(result), "seed": request.seed}
    return {
        "directory": str(request.directory),
        "files": list(DRAFT_FILES),
        **draft.to_dict(),
        "read": import_json(log.report),
        "evaluation": evaluation,
        "next": commands,
    }
