"""The command that replays a log through a policy that learns: replay."""

from __future__ import annotations

from typing import Annotated

import typer

from bandit.cli.console import note, output_format, progress, show, show_plain
from bandit.cli.help import ESTIMATION, POLICIES
from bandit.cli.options import (
    AsJson,
    CatalogueFile,
    Database,
    Event,
    Format,
    Level,
    LogOptions,
    Objective,
    Policies,
    Seed,
    Window,
    WrittenBy,
)


def replay(
    db: Database,
    policy: Policies,
    catalogue: CatalogueFile = None,
    objective: Objective = None,
    event: Event = None,
    window: Window = None,
    bound: Annotated[
        float | None,
        typer.Option(
            help="Largest ratio of probabilities without rejection; default: 1 / smallest propensity.",
            rich_help_panel=ESTIMATION,
        ),
    ] = None,
    written_by: WrittenBy = None,
    block: Annotated[int, typer.Option(help="Decisions per learning step.", rich_help_panel=ESTIMATION)] = 64,
    level: Level = 0.95,
    seed: Seed = 1,
    as_declared: Annotated[
        bool,
        typer.Option(
            "--as-declared",
            help="Serve each customer as the catalogue's groups and roll-out say, not all by the policy.",
            rich_help_panel=POLICIES,
        ),
    ] = False,
    as_json: AsJson = False,
    format_name: Format = None,
) -> None:
    """Replay the log: a policy learns from the decisions that it would have made itself.

    The result is the value of a policy while it learns; `evaluate` gives the value of policies that do not change.
    """
    import numpy as np

    from bandit.analysis.replay import replay as replay_log
    from bandit.cli.logs import left_out_json, opened, unused
    from bandit.cli.policies import parse_policies
    from bandit.report.evaluations import replay_lines, replay_table, unit_of
    from bandit.rollout.declared_policy import DeclaredPolicy
    from bandit.store import StoreLog
    from bandit.tabular import RowTable

    style = output_format(as_json, format_name)
    with opened(LogOptions(db, catalogue, None, objective, event, window, written_by)) as found:
        target, log = found.catalogue, found.log
        replays = []
        for name, each in parse_policies(target, policy)[0].items():
            rng = np.random.default_rng(seed)
            runs = DeclaredPolicy(target, each) if as_declared else each
            with progress(f"replaying {name}") as report:
                replays.append(replay_log(log, runs, rng=rng, bound=bound, block=block, level=level, progress=report))
        dealt_anew = as_declared and isinstance(log, StoreLog) and log.dealt_anew
        if dealt_anew:
            note(
                "note: the customer key was rotated, and groups and arms go by the customers' form before it, which "
                "is not in the database: here they are dealt anew, by the same shares"
            )
        document = {
            "seed": seed,
            **({"dealt_anew": True} if dealt_anew else {}),
            **left_out_json(log),
            "replays": [each.to_dict() for each in replays],
        }
        rows = RowTable(tuple(each.summary_row() for each in replays))
        if not show_plain(style, lambda: document, lambda: [("replays", rows)]):
            table = replay_table(replays, unit_of(target.objective, target.currency))
            show([table], unused(log), verdicts=replay_lines(replays))
