"""What a process of the disturbed soak does to itself: a wrong clock, a full disk, forks, decisions of others."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import time
from typing import TYPE_CHECKING

from bandit.engine.decisions import UNSEARCHED
from bandit.errors import OfferBanditError
from simulator.bench.durability.disturbed.settings import DISTURBANCES

if TYPE_CHECKING:
    from bandit import Engine
    from bandit.domain import Decision
    from simulator.bench.durability.disturbed.decider import Decider

CLOCK_STEPS = (-3.0, -0.02, 0.02, 3.0)
"""Hours by which a clock goes wrong."""

SMALL_FILES = (300_000, 900_000)
"""Smallest and largest size in bytes that a file may have on a full disk."""

FULL_SECONDS = 3.0
"""Seconds for which a disk is full."""

CROSSED_SECONDS = 10.0
"""Age in seconds up to which another process's decision is taken up."""


def step_clock(decider: Decider) -> None:
    """Set the clock wrong, or right again."""
    if "clock" in decider.settings.activities and decider.due("clock", DISTURBANCES["clock"]):
        wrong = not decider.clock.offset and decider.rng.random() < 0.5
        hours = float(decider.rng.choice(CLOCK_STEPS)) if wrong else 0.0
        decider.clock.offset = round(hours * 3_600_000_000)
        if wrong:
            decider.notes.write("happened", event="clock")


def fill_disk(decider: Decider) -> None:
    """Let no file of this process grow beyond a size for some seconds."""
    if "disk" not in decider.settings.activities:
        return
    now, (_, hard) = time.monotonic(), resource.getrlimit(resource.RLIMIT_FSIZE)
    if decider.room_back_at and now > decider.room_back_at:
        decider.room_back_at = 0.0
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    elif not decider.room_back_at and decider.due("disk", DISTURBANCES["disk"]):
        decider.room_back_at = now + decider.rng.exponential(FULL_SECONDS)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(decider.rng.integers(*SMALL_FILES)), hard))
        decider.notes.write("happened", event="disk")


def fork(decider: Decider, engine: Engine) -> None:
    """Fork; the child decides with the same engine, and ends with or without closing it."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    if "forks" not in decider.settings.activities or not decider.due("forks", DISTURBANCES["forks"]):
        return
    decider.notes.write("happened", event="forks")
    if os.fork():
        return
    try:
        for _ in range(3):
            decider.turn += 1
            made = decider.decide(engine)
            if made is not None and made.logged:
                decider.record(engine, made.decision_id, "purchase", 30.0)
        if decider.rng.random() < 0.3:
            decider.learn(engine)
        if decider.rng.random() < 0.5:
            engine.close()
    except BaseException as fault:  # noqa: BLE001 - whatever it is, it is reported
        if type(fault).__name__ != "SoftTimeout":
            decider.notes.write("fault", text=f"in a forked child: {type(fault).__name__}: {fault}")
    finally:
        os._exit(0)


def cross(decider: Decider, engine: Engine, made: Decision) -> None:
    """Leave a decision to the other processes, and now and then take up one of theirs."""
    place, guest = decider.settings.folder / "recent", made.customer.startswith("guest")
    if "crossing" not in decider.settings.activities or decider.clock.offset or guest:
        return
    if decider.due("left to others", 0.5):
        told = {"id": made.decision_id, "customer": made.customer, "context": decider.context, "at": time.time()}
        told |= {"offer": made.offer_index, "propensity": made.propensity}
        partial = place / f"{decider.slot}-{os.getpid()}.partial"
        partial.write_text(json.dumps(told), encoding="utf-8")
        partial.replace(place / f"{decider.slot}.json")
    if not decider.due("crossing", DISTURBANCES["crossing"]):
        return
    other = int(decider.rng.integers(decider.settings.processes))
    try:
        told = json.loads((place / f"{other}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    if time.time() - told["at"] > CROSSED_SECONDS or other == decider.slot:
        return
    decider.notes.write("happened", event="crossing")
    decider.record(engine, told["id"], f"seen by {decider.slot}", None)
    try:
        again = engine.decide(told["customer"], told["context"], decision_id=told["id"])
    except OfferBanditError as fault:
        decider.refused(fault, "retry elsewhere")
        return
    if again.fault is not None and UNSEARCHED in again.fault:
        decider.notes.write("unseen", id=told["id"])
    elif (again.offer_index, again.propensity) != (told["offer"], told["propensity"]):
        decider.notes.write("otherwise", id=told["id"])
