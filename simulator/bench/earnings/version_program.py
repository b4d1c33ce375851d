"""The program that runs the engine of another version: calls come in as lines of JSON, answers go out likewise.

It is started with that version's Python and imports nothing of this one. The first line opens the engine, each of the
others is one call; each answer has the processor time of this process so far.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

import bandit


def main() -> None:
    """Serve calls until the input ends."""
    lines, answers = sys.stdin, sys.stdout
    sys.stdout = sys.stderr  # what a library prints is no answer

    def answer(**values: object) -> None:
        answers.write(json.dumps({**values, "cpu": time.process_time_ns()}) + "\n")
        answers.flush()

    given = json.loads(next(lines))
    catalogue = bandit.Catalogue.from_dict(given["catalogue"])
    with bandit.Engine.open(
        Path(given["folder"]) / "offers.db",
        catalogue,
        bandit.ThompsonSampling(catalogue),
        seed=given["seed"],
        customer_key=given["key"].encode(),
        durability="process",
    ) as engine:
        answer(version=bandit.__version__)
        for line in lines:
            call = json.loads(line)
            time_of = None if call.get("time") is None else np.array(call["time"], dtype=np.int64)
            if call["call"] == "decide":
                found = engine.decide_batch(
                    call["customers"], call["contexts"], time=time_of, decision_ids=call["decision_ids"]
                )
                answer(
                    offer=found.offer_index.tolist(),
                    propensity=found.propensity.tolist(),
                    eligible=np.packbits(found.eligible, axis=1).tobytes().hex(),
                )
            elif call["call"] == "record":
                revenue = None if call["revenue"] is None else np.array(call["revenue"], dtype=np.float64)
                engine.record_batch(call["decision_ids"], call["event"], revenue=revenue, time=time_of)
                answer()
            else:
                engine.learn(now=call["now"])
                answer()


if __name__ == "__main__":
    main()
