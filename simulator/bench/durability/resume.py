"""Continuing after a kill: unanswered requests are sent again, interrupted commands are given again."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import typer

from bandit import Engine
from bandit.cli.maintenance import doctor
from bandit.governance.erasure import erase
from bandit.governance.retention import retain
from bandit.logfiles import LogMapping, import_log
from bandit.store import Store
from bandit.store.customer_key import KEY_VARIABLE
from simulator.bench.durability.acknowledgements import Acknowledged, DatabaseContent
from simulator.bench.durability.worker import CRASH_MAPPING, ERASED_CUSTOMER, IMPORTED_ROWS, RETAINED_FROM, Worker
from simulator.bench.engines import BENCH_KEY


def repeat_requests(engine: Engine, acknowledged: Acknowledged) -> list[str]:
    """Repeat the requests in progress, as a client without an answer does; return the problems."""
    line = acknowledged.began.get("deciding")
    if line is not None and len(line["ids"]) == 1:
        context = {"age": line["ages"][0], "member": line["members"][0]}
        first, second = (engine.decide(line["customers"][0], context, decision_id=line["ids"][0]) for _ in range(2))
        if (first.offer_index, first.propensity) != (second.offer_index, second.propensity):
            return ["a repeated request gets another decision"]
    line = acknowledged.began.get("recording")
    if line is not None:
        amounts = np.array(line["revenue"])
        engine.record_batch(line["ids"], line["event"], revenue=amounts, correct=line["correct"])
        if engine.record_batch(line["ids"], line["event"], revenue=amounts).n_repeated != len(line["ids"]):
            return ["events that are recorded again are not recognised as repeated"]
    return []


def repeat_commands(worker: Worker, acknowledged: Acknowledged, before: DatabaseContent) -> list[str]:
    """Give the interrupted commands again and check that their work is done; return the problems."""
    problems: list[str] = []
    if "importing" in acknowledged.began:
        with worker.store() as store:
            report = import_log(
                store, worker.catalogue, LogMapping.from_dict(CRASH_MAPPING), worker.path.with_name("log.csv")
            )
            if report.n_imported + report.n_repeated != IMPORTED_ROWS:
                problems.append("the repeated import is not complete")
    for name in ("erasing", "retaining"):
        if name in acknowledged.began:
            problems += _removed(worker, name, acknowledged, before)
    if acknowledged.backups or "backed up" in acknowledged.finished or any(worker.path.parent.glob("backup-*")):
        problems += _backups(worker, acknowledged)
    return problems


def _removed(worker: Worker, name: str, acknowledged: Acknowledged, before: DatabaseContent) -> list[str]:
    problems = []
    with worker.store() as store:
        key = store.customers.stored(ERASED_CUSTOMER)
        removed = [
            each
            for each, customer in before.decisions.items()
            if (customer == key if name == "erasing" else before.times[each] < RETAINED_FROM)
        ]
        there = sum(store.decisions.has(each) for each in removed)
        due = store.deletion.scrub_is_due()
    if there not in {0, len(removed)}:
        problems.append(f"{there} of {len(removed)} decisions of a removal still exist")
    if due and not any("run the command again" in each for each in _doctor(worker.path)):
        problems.append("doctor does not report the unfinished removal")
    finished = "erased" in acknowledged.finished or "retained" in acknowledged.finished
    if finished and (there or due):
        problems.append("an acknowledged removal is not complete")
    with worker.store() as store:
        if name == "retaining":
            retain(store, RETAINED_FROM)
        elif there or due:
            erase(store, ERASED_CUSTOMER)
        if store.deletion.scrub_is_due() or any(store.decisions.has(each) for each in removed):
            problems.append("a repeated removal is not complete")
    words = [*(each.encode() for each in removed), *([key.encode()] if name == "erasing" else [])]
    for file in sorted(worker.path.parent.glob(f"{worker.path.name}*")):
        content = file.read_bytes()
        if any(contains(word, content) for word in words):
            problems.append(f"bytes of removed data are in {file.name}")
    return problems


def contains(word: bytes, content: bytes) -> bool:
    """Return whether a text occurs, not as the beginning of a longer one (day1-1, day1-10)."""
    place = content.find(word)
    while place >= 0:
        if not content[place + len(word) : place + len(word) + 1].isdigit():
            return True
        place = content.find(word, place + 1)
    return False


def _doctor(path: Path) -> list[str]:
    output = io.StringIO()
    with (
        mock.patch.dict(os.environ, {KEY_VARIABLE: BENCH_KEY.decode()}),
        contextlib.redirect_stdout(output),
        contextlib.suppress(typer.Exit),
    ):
        doctor(path, as_json=True)
    problems: list[str] = json.loads(output.getvalue())["problems"]
    return problems


def _backups(worker: Worker, acknowledged: Acknowledged) -> list[str]:
    problems = [
        f"{name} was acknowledged and does not exist"
        for name in acknowledged.backups
        if not worker.path.with_name(name).exists()
    ]
    for turn in range(4):
        target = worker.path.with_name(f"backup-{turn}.db")
        if not target.exists():
            with worker.store() as store:
                store.backup(target)
        with _copied(target) as copy, Store.open(copy, customer_key=BENCH_KEY) as store:
            problems += [f"{target.name}: {each}" for each in store.check()]
    if list(worker.path.parent.glob("*.partial*")):
        problems.append("an unfinished backup still exists")
    return problems


@contextlib.contextmanager
def _copied(path: Path) -> Iterator[Path]:
    copy = path.with_name(f"look-{path.name}")
    copy.write_bytes(path.read_bytes())
    yield copy
