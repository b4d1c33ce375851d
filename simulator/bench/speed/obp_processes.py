"""The processes that `obp_speed` times: each evaluates the same arrays once for every line of input.

Run by path, in the environment of the side: that of Open Bandit Pipeline need not have the engine, nor the other way
round. It imports neither before it knows its side.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BOOTSTRAP_SAMPLES = 100
"""Bootstrap samples of Open Bandit Pipeline."""

SWITCH_LAMBDA, SHRINKAGE_LAMBDA = 100.0, 10_000.0
"""Parameters of switch-dr and dr-os for Open Bandit Pipeline, equal to the engine's."""


def main(side: str, folder: Path) -> None:
    """Load the arrays, then answer each line of input with seconds, peak memory in bytes, and values.

    `seconds` are processor time of this process, `wall` elapsed seconds.
    """
    run = {"ours": ours, "clustered": clustered, "obp": obp}[side](folder)
    write_line(ready=True, memory=memory())
    for _ in sys.stdin:
        begun, worked = time.perf_counter(), time.process_time()
        values = run()
        seconds, wall = time.process_time() - worked, time.perf_counter() - begun
        write_line(seconds=seconds, wall=wall, memory=memory(), values=values)


def ours(folder: Path, *, by_customer: bool = False) -> Callable[[], dict[str, float]]:
    """Return a function that evaluates with the engine's estimators, from the (n, actions) arrays on."""
    from bandit import ope  # noqa: PLC0415 - absent on the other side

    reward, action, propensity, target, predicted, customer = arrays(folder)
    names = ("ips", "snips", "dm", "dr", "sndr", "switch-dr", "dr-os")

    def run() -> dict[str, float]:
        rows = np.arange(len(action))
        mean = np.einsum("ij,ij->i", target, predicted)
        cluster = customer if by_customer else None
        given = ope.Feedback(reward, propensity, target[rows, action], predicted[rows, action], mean, cluster)
        return {each.name: each.value for each in ope.estimate(given, names)}

    return run


def clustered(folder: Path) -> Callable[[], dict[str, float]]:
    """Return a function that evaluates with the engine's estimators, intervals clustered by customer."""
    return ours(folder, by_customer=True)


def obp(folder: Path) -> Callable[[], dict[str, float]]:
    """Return a function that evaluates with Open Bandit Pipeline, bootstrap intervals included."""
    from obp import ope  # noqa: PLC0415 - absent on the other side

    reward, action, propensity, target, predicted, _ = arrays(folder)
    feedback = {
        "n_rounds": len(action),
        "n_actions": target.shape[1],
        "context": np.zeros((len(action), 1)),
        "action_context": np.eye(target.shape[1]),
        "action": action,
        "reward": reward,
        "pscore": propensity,
        "position": np.zeros(len(action), dtype=int),
    }
    evaluation = ope.OffPolicyEvaluation(
        bandit_feedback=feedback,
        ope_estimators=[
            ope.InverseProbabilityWeighting(estimator_name="ips"),
            ope.SelfNormalizedInverseProbabilityWeighting(estimator_name="snips"),
            ope.DirectMethod(estimator_name="dm"),
            ope.DoublyRobust(estimator_name="dr"),
            ope.SelfNormalizedDoublyRobust(estimator_name="sndr"),
            ope.SwitchDoublyRobust(lambda_=SWITCH_LAMBDA, estimator_name="switch-dr"),
            ope.DoublyRobustWithShrinkage(lambda_=SHRINKAGE_LAMBDA, estimator_name="dr-os"),
        ],
    )
    dense_target, dense_predicted = target[:, :, None], predicted[:, :, None]

    def run() -> dict[str, float]:
        found = evaluation.estimate_intervals(
            action_dist=dense_target,
            estimated_rewards_by_reg_model=dense_predicted,
            n_bootstrap_samples=BOOTSTRAP_SAMPLES,
            random_state=1,
        )
        return {name: float(interval["mean"]) for name, interval in found.items()}

    return run


def arrays(folder: Path) -> tuple[Any, ...]:
    """Return reward, action and propensity (n,), target and predicted (n, actions), customer (n,)."""
    names = ("reward", "action", "propensity", "target", "predicted", "customer")
    return tuple(np.load(folder / f"{name}.npy", allow_pickle=False) for name in names)


def memory() -> int:
    """Return the peak memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage starts at the value of the parent process, which is passed on to a new program.
        found = [line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:")]
        return int(found[0].split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def write_line(**what: object) -> None:
    """Write one line of JSON."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
