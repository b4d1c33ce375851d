"""One of many processes that decide on one database, of this version or another: it imports nothing of the benchmark.

The task is a line of JSON. The process opens its engine, says "ready", and begins with the next line. Without a rate it
decides as fast as it can; with a rate its requests arrive at random times (a Poisson process), whether or not the ones
before are answered. The answer is a line of JSON.
"""

import json
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np

import bandit

N_CUSTOMERS = 500
PURCHASES = 0.2
LEARN_PAUSE = 0.1


def main() -> None:
    """Serve one task."""
    answers, sys.stdout = sys.stdout, sys.stderr
    task = json.loads(sys.stdin.readline())
    warnings.simplefilter("ignore")
    catalogue = bandit.Catalogue.from_dict(task["catalogue"])
    rng = np.random.default_rng([task["seed"], task["number"]])
    names = list(task["catalogue"]["context"])
    facts = np.round(rng.standard_normal((N_CUSTOMERS, len(names))), 3).tolist()
    contexts = [dict(zip(names, row, strict=True)) for row in facts]
    with bandit.Engine.open(
        Path(task["path"]),
        catalogue,
        bandit.ThompsonSampling(catalogue),
        seed=task["seed"],
        customer_key=task["key"].encode(),
        durability=task["durability"],
        busy_timeout=60.0,
    ) as engine:
        engine.decide("warm", contexts[0], decision_id=f"warm-{task['number']}-{task['rate']}")
        print("ready", file=answers, flush=True)
        sys.stdin.readline()
        stop = threading.Event()
        learned: list[int] = []
        learner = threading.Thread(target=_learn, args=(engine, stop, learned))
        if task["learns"]:
            learner.start()
        result = _serve(engine, contexts, task, rng)
        stop.set()
        if task["learns"]:
            learner.join()
        result |= {"learned": sum(learned), "version": bandit.__version__}
        print(json.dumps(result), file=answers, flush=True)
        sys.stdin.readline()


def _learn(engine: bandit.Engine, stop: threading.Event, learned: list[int]) -> None:
    while not stop.wait(LEARN_PAUSE):
        learned.append(engine.learn().n)


def _serve(
    engine: bandit.Engine, contexts: list[dict[str, float]], task: dict[str, float], rng: np.random.Generator
) -> dict[str, object]:
    """Decide for some seconds; return what was acknowledged, the seconds of each call, and those since its arrival."""
    calls: list[float] = []
    waits: list[float] = []
    decisions: list[str] = []
    events = faults = 0
    clock, rate = time.perf_counter, task["rate"]
    begun = arrival = clock()
    end = begun + task["seconds"]
    while True:
        if rate:
            arrival += rng.exponential(1.0 / rate)
            if arrival > end:
                break
            time.sleep(max(0.0, arrival - clock()))
        elif clock() > end:
            break
        row = len(calls) % N_CUSTOMERS
        before = clock()
        made = engine.decide(f"c{row}", contexts[row])
        after = clock()
        calls.append(after - before)
        waits.append(after - (arrival if rate else before))
        faults += made.fault is not None
        decisions.append(made.decision_id)
        if rng.random() < PURCHASES:
            engine.record(made.decision_id, "purchase", revenue=50.0)
            events += 1
    return {
        "calls": calls,
        "waits": waits,
        "seconds": clock() - begun,
        "decisions": decisions,
        "events": events,
        "faults": faults,
    }


if __name__ == "__main__":
    main()
