"""Computes slowly on a local cluster, and says its workers, until it is interrupted."""

import sys

from bandit.cluster.opening import open_runner
from bandit.logfiles import open_dataset
from tests.cluster import tasks


def main():
    dataset = open_dataset(sys.argv[1])
    with open_runner("local:2", dataset) as runner:
        sys.stdout.write(" ".join(map(str, set(runner.map(tasks.process, dataset.parts, None)))) + "\n")
        sys.stdout.flush()
        list(runner.map(tasks.slow_sum, dataset.parts, None, 600.0))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
