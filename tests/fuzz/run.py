"""`python -m tests.fuzz.run TARGET --seconds 60`: long runs, with atheris where it is installed."""

import argparse
import hashlib
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None


def _load():
    if atheris is None:
        from tests.fuzz import targets  # noqa: PLC0415 - atheris must be there first
    else:
        with atheris.instrument_imports(include=["bandit", "tests.fuzz.targets"]):
            from tests.fuzz import targets  # noqa: PLC0415
    return targets.TARGETS


def _by_mutation(target, seeds, seconds, seed, kept):
    """Run with our own mutator; return the number of findings, one of a kind."""
    from tests.fuzz.mutate import generator, mutated  # noqa: PLC0415

    rng, done, kinds = generator(seed), 0, set()
    end = time.monotonic() + seconds
    inputs = list(seeds)
    while time.monotonic() < end:
        data = inputs.pop() if inputs else mutated(seeds, rng)
        done += 1
        try:
            target(data)
        except BaseException as fault:
            if isinstance(fault, KeyboardInterrupt):
                raise
            last = traceback.extract_tb(fault.__traceback__)[-1]
            kind = f"{type(fault).__name__} at {Path(last.filename).name}:{last.lineno}"
            if kind not in kinds:
                kinds.add(kind)
                path = kept / f"finding-{hashlib.blake2b(data, digest_size=6).hexdigest()}"
                path.write_bytes(data)
                traceback.print_exception(fault, limit=-6, chain=False)
                sys.stderr.write(f"FINDING {kind}: {ascii(str(fault))[:200]} ({path})\n")
    sys.stdout.write(f"{done} executions in {seconds} s, {len(kinds)} findings\n")
    return len(kinds)


def _by_atheris(target, seeds, seconds, seed, kept):
    """Run with atheris, which ends the process at the first finding."""
    corpus = Path(tempfile.mkdtemp(prefix="corpus-"))
    for number, data in enumerate(seeds):
        (corpus / str(number)).write_bytes(data)
    options = [
        "-timeout=30",
        "-rss_limit_mb=4096",
        "-max_len=20000",
        "-print_final_stats=1",
        f"-artifact_prefix={kept}/",
    ]
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", f"-seed={seed}", *options, str(corpus)], target)
    atheris.Fuzz()


def main():
    targets = _load()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=targets)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--own", action="store_true", help="use our own mutator, which goes on after a finding")
    parser.add_argument("--kept", type=Path, help="where inputs with findings are kept; default: a new directory")
    given = parser.parse_args()
    kept = given.kept or Path(tempfile.mkdtemp(prefix="findings-"))
    kept.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    target, seeds = targets[given.target]
    how = _by_mutation if atheris is None or given.own else _by_atheris
    return 1 if how(target, seeds(), given.seconds, given.seed, kept) else 0


if __name__ == "__main__":
    sys.exit(main())
