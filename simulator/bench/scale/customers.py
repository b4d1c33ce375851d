"""What one file of very many customers with history costs: open, decide, learn, sync, in time and in memory.

One file grows through all sizes. At each size a new process opens it, decides for customers drawn from all of them,
learns, and brings a second engine to the newest step, on a copy. Whether the costs grow with the number of customers
shows in the ratio to the smallest file. All times are of the processor, which other programs on the machine do not
lengthen much.
"""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from bandit import Engine
from bandit.errors import InputError
from bandit.store import file_size
from simulator.bench.durability.soak import resident
from simulator.bench.scale.customers_file import OWN_CUSTOMERS, CustomersFile
from simulator.bench.scale.largest_memory import largest_memory

CUSTOMER_SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
DECIDED, VISITS, LEARNED = 1_000, 200, 1_000
"""Single decisions, visits (decide, record, learn) and outcomes of one call of `learn` that are timed at each size."""


@dataclass(frozen=True, slots=True)
class CustomersTiming:
    """What a process paid at one number of customers.

    `open` and `visit` are milliseconds, a visit's the median; `decide`, `decide_p99` and `decide_new` microseconds of
    one decision, for customers of the file and for new ones, `batch` those a customer of a batch; `learn` and `sync`
    the seconds of LEARNED outcomes at once and of another engine to come after them. `opened` and `peak` are mebibytes
    of resident memory after opening and at most, `megabytes` and `state` the sizes of file and of the policy's state.
    """

    customers: int
    megabytes: float
    state: float
    open: float
    decide: float
    decide_p99: float
    decide_new: float
    batch: float
    visit: float
    learn: float
    sync: float
    opened: float
    peak: float

    def to_dict(self) -> dict[str, int | float]:
        """Return plain JSON values."""
        return asdict(self)


def measure(
    customers: Sequence[int] = CUSTOMER_SIZES,
    seed: int = 1,
    folder: Path | None = None,
    report: Callable[[int, int], None] | None = None,
    found: Callable[[CustomersTiming], None] | None = None,
) -> tuple[CustomersTiming, ...]:
    """Measure at each number of customers, smallest first; `report` is called with customers of the file and all.

    `folder` is where a temporary folder is made: about 600 bytes a customer are written. InputError for a number below
    the customers that the engine itself begins with.
    """
    if not customers or min(customers) < OWN_CUSTOMERS:
        raise InputError(f"numbers of customers are at least {OWN_CUSTOMERS:,}; seen {customers}")
    timings: list[CustomersTiming] = []
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        file = CustomersFile(Path(temporary) / "customers.db", seed)
        for size in sorted(set(customers)):
            file.grow_to(size, report)
            measured = file.path.with_name("measured.db")
            shutil.copyfile(file.path, measured)
            # A fork would begin with the memory of this process.
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                timing = pool.submit(_measured, measured, size, file.clock.now, seed).result()
            timings.append(replace(timing, megabytes=file_size(file.path) / 1e6))
            for each in measured.parent.glob(f"{measured.name}*"):
                each.unlink()
            if found is not None:
                found(timings[-1])
    return tuple(timings)


def _measured(path: Path, customers: int, now: int, seed: int) -> CustomersTiming:
    """Return the costs in this process, without the size of the file."""
    file = CustomersFile(path, seed)
    file.n, file.clock.now = customers, now
    rng = np.random.default_rng(seed + customers)
    begun = time.process_time()
    engine = file.engine()
    opened, memory = 1e3 * (time.process_time() - begun), resident()
    with engine, file.engine() as other:
        known = _microseconds(file, engine, file.names(rng, DECIDED))
        new = _microseconds(file, engine, [f"new-{number}" for number in range(DECIDED // 4)])
        names = file.names(rng, LEARNED)
        facts = file.facts(rng, LEARNED)
        begun = time.process_time()
        made = engine.decide_batch(names, facts)
        batch = time.process_time() - begun
        visits = [_visit(file, engine, name) for name in file.names(rng, VISITS)]
        engine.record_batch(made.decision_ids, "closed")
        begun = time.process_time()
        engine.learn()
        learned = time.process_time()
        other.sync()
        synced = time.process_time()
        state = len(engine.store.ledger.snapshot(engine.policy_id, newest=True).state)  # type: ignore[union-attr]  # it has learned
    return CustomersTiming(
        customers=customers,
        megabytes=0.0,
        state=state / 1e3,
        open=opened,
        decide=float(np.median(known)),
        decide_p99=float(np.quantile(known, 0.99)),
        decide_new=float(np.median(new)),
        batch=1e6 * batch / LEARNED,
        visit=float(np.median(visits)),
        learn=learned - begun,
        sync=synced - learned,
        opened=memory,
        peak=largest_memory(),
    )


def _microseconds(file: CustomersFile, engine: Engine, customers: Sequence[str]) -> list[float]:
    """Return the microseconds of each decision but the first."""
    facts = file.facts(np.random.default_rng(len(customers)), len(customers))
    contexts = [dict(zip(facts, row, strict=True)) for row in zip(*facts.values(), strict=True)]
    taken = []
    for customer, context in zip(customers, contexts, strict=True):
        begun = time.process_time()
        engine.decide(customer, context)
        taken.append(1e6 * (time.process_time() - begun))
    return taken[1:]


def _visit(file: CustomersFile, engine: Engine, customer: str) -> float:
    """Return the milliseconds of a visit."""
    facts = file.facts(np.random.default_rng(len(customer)), 1)
    begun = time.process_time()
    made = engine.decide(customer, {name: column[0] for name, column in facts.items()})
    engine.record(made.decision_id, event="closed")
    engine.learn()
    return 1e3 * (time.process_time() - begun)


def markdown(timings: Sequence[CustomersTiming]) -> str:
    """Return the timings as a Markdown table, with the ratio of a decision and of the memory to the smallest file."""
    heads = (
        "customers", "file, MB", "state, kB", "open, ms", "decide p50, us", "p99", "new customer", "in a batch",
        "visit, ms", f"learn {LEARNED:,}, s", "sync, s", "RSS after open, MiB", "at most", "decide, smallest = 1",
        "memory, smallest = 1",
    )  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", "|" + "---:|" * len(heads)]
    first = timings[0]
    for each in timings:
        cells = (
            f"{each.customers:,}",
            *(f"{number:,.0f}" for number in (each.megabytes, each.state, each.open, each.decide, each.decide_p99)),
            *(f"{number:,.0f}" for number in (each.decide_new, each.batch)),
            *(f"{number:.2f}" for number in (each.visit, each.learn, each.sync)),
            *(f"{number:,.0f}" for number in (each.opened, each.peak)),
            *(f"{number:.2f}" for number in (each.decide / first.decide, each.peak / first.peak)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + '\n\nProcessor time; each size in a new process; durability "process".\n'
