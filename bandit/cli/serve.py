"""The command that serves decisions over HTTP: serve."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandit.cli.console import note, show_json_line
from bandit.cli.help import LIMITS, SERVING, WATCHING
from bandit.cli.options import AsJson, CatalogueFile, Database, OnePolicy, PolicyId
from bandit.errors import InputError
from bandit.printable import counted, visible

if TYPE_CHECKING:
    from bandit.engine import Engine
    from bandit.service.options import ServiceOptions
    from bandit.service.recipe import EngineRecipe

_NEVER = "never"


def serve(
    db: Database,
    policy: OnePolicy = None,
    policy_id: PolicyId = None,
    catalogue: CatalogueFile = None,
    workers: Annotated[
        int, typer.Option("--workers", help="Processes that serve; one of them learns.", rich_help_panel=SERVING)
    ] = 1,
    learn_every: Annotated[
        str,
        typer.Option(
            "--learn-every", metavar="DURATION", help='How often to learn, as "10s"; never: another process learns.'
        ),
    ] = "10s",
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="The address to serve on.", rich_help_panel=SERVING)
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port; 0 takes a free one.", rich_help_panel=SERVING)] = 8080,
    uds: Annotated[
        Path | None,
        typer.Option("--uds", metavar="FILE", help="Serve on a unix socket instead.", rich_help_panel=SERVING),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(
            "--root-path", metavar="PATH", help="The path that a proxy puts before ours.", rich_help_panel=SERVING
        ),
    ] = "",
    graceful: Annotated[
        float,
        typer.Option(
            "--graceful",
            metavar="SECONDS",
            help="Longest wait for requests at the end.",
            rich_help_panel=SERVING,
        ),
    ] = 30.0,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="Bearer tokens that clients send, one a line; read again when it changes.",
            rich_help_panel=WATCHING,
        ),
    ] = None,
    customer_key_file: Annotated[
        Path | None,
        typer.Option(
            "--customer-key-file",
            metavar="FILE",
            help="The key that customers are hashed with; default: OFFER_BANDIT_KEY_FILE.",
            rich_help_panel=WATCHING,
        ),
    ] = None,
    docs: Annotated[
        bool | None,
        typer.Option(
            "--docs/--no-docs",
            help="Serve /docs and /openapi.json; default: where there is no token.",
            rich_help_panel=WATCHING,
        ),
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Log every request's address too.", rich_help_panel=WATCHING)
    ] = False,
    log_level: Annotated[
        str,
        typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.", rich_help_panel=WATCHING),
    ] = "info",
    max_body: Annotated[
        int, typer.Option("--max-body", metavar="BYTES", help="Largest body.", rich_help_panel=LIMITS)
    ] = 1_048_576,
    max_batch: Annotated[
        int, typer.Option("--max-batch", help="Most decisions or events in a request.", rich_help_panel=LIMITS)
    ] = 1_000,
    deadline: Annotated[
        float,
        typer.Option(
            "--deadline",
            metavar="SECONDS",
            help="Longest time of a request; half of it for a locked database.",
            rich_help_panel=LIMITS,
        ),
    ] = 2.0,
    durability: Annotated[
        str,
        typer.Option(
            "--durability", metavar="KIND", help='"full" waits for the disk; "process" survives a kill, no power cut.'
        ),
    ] = "full",
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Seed of the draws: with the same decision id, the same offer.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="The group of every decision; default: the customer's own.")] = None,
    as_json: AsJson = False,
) -> None:
    """Serve decisions over HTTP: decide, record events, learn.

    POST /decide, /decide/batch and /events; GET /why/ID, /status, /healthz, /readyz and /metrics; /docs shows all with
    examples of this catalogue. SIGTERM ends it once what was begun has ended; SIGHUP replaces the workers.

    \b
    $ offer-bandit serve offers.db --policy thompson --catalogue catalogue.toml &
    $ curl -s localhost:8080/decide -H 'Content-Type: application/json' \\
        -d '{"customer": "customer-42", "context": {"loyal": true}}'

    Needs an extra: pip install "offer-bandit[service]"
    """  # noqa: D301 - click's mark of lines that are not wrapped
    from bandit.service.options import ServiceOptions
    from bandit.service.server import check_extra, run_service

    check_extra()
    if durability not in {"full", "process"}:
        raise InputError(f'--durability is "full" or "process"; seen "{durability}"')
    options = ServiceOptions(
        workers=workers,
        learn_every=_seconds(learn_every),
        host=host,
        port=port,
        uds=uds,
        root_path=root_path,
        token_file=token_file,
        max_body=max_body,
        max_batch=max_batch,
        deadline=deadline,
        graceful=graceful,
        docs=docs,
        access_log=access_log,
        log_level=log_level,
    )
    _check_access(options)
    if customer_key_file is not None:
        os.environ["OFFER_BANDIT_KEY_FILE"] = str(customer_key_file.absolute())
    recipe = _recipe(db, policy, policy_id, catalogue)
    recipe = _with_settings(recipe, options, durability=durability, seed=seed, group=group)
    described = _opened_once(recipe)

    def started(address: str) -> None:
        if as_json:
            show_json_line({"address": address, "process": os.getpid(), "workers": workers, **described})
            return
        learning = "without learning" if options.learn_every is None else f"learning every {options.learn_every:g} s"
        line = f"serving {db} at {address}: {described['policy']}, {counted(workers, 'worker')}, {learning}"
        typer.echo(visible(line))

    run_service(recipe, options, started)


def _seconds(text: str) -> float | None:
    from bandit.catalogue.file_tables import window_microseconds

    return None if text == _NEVER else window_microseconds(text) / 1e6


def _check_access(options: ServiceOptions) -> None:
    """Read the token file, and say who can reach the service."""
    from bandit.service.token_file import TokenFile

    if options.token_file is not None:
        tokens = TokenFile(options.token_file)
        if tokens.readable_by_others:
            note(f"note: {tokens.path}: others may read the token; `chmod 600 {tokens.path}` keeps it to its owner")
    elif not options.is_local:
        note(f"note: whoever reaches {options.host} can decide, record and read; --token-file asks for a token")


def _recipe(db: Path, policy: str | None, policy_id: int | None, catalogue: Path | None) -> EngineRecipe:
    from bandit.cli.databases import catalogue_for, reading
    from bandit.cli.datasets import refuse_dataset
    from bandit.cli.policies import parse_policy
    from bandit.service.recipe import EngineRecipe

    refuse_dataset(db)
    if policy is not None and policy_id is not None:
        raise InputError("--policy and --policy-id both name the policy; give one of them")
    if policy is None:
        if catalogue is not None:
            raise InputError("--catalogue needs --policy: a policy stored in the database has its own catalogue")
        return EngineRecipe(path=db.absolute(), policy_id=policy_id)
    if catalogue is None:
        with reading(db) as store:
            known = catalogue_for(store, None)
    else:
        from bandit.catalogue import Catalogue

        known = Catalogue.from_toml(catalogue)
    return EngineRecipe(path=db.absolute(), catalogue=known.to_dict(), policy=parse_policy(known, policy).spec())


def _with_settings(
    recipe: EngineRecipe, options: ServiceOptions, *, durability: str, seed: int | None, group: str | None
) -> EngineRecipe:
    from dataclasses import replace

    return replace(
        recipe,
        durability="full" if durability == "full" else "process",
        busy_timeout=options.busy_timeout,
        seed=seed,
        group=group,
    )


def _opened_once(recipe: EngineRecipe) -> dict[str, object]:
    """Open the engine and close it, so that what is wrong is said here; return what is served."""
    from bandit.cli.databases import all_or_nothing

    with all_or_nothing(recipe.path), recipe.open() as engine:
        _note_carried(recipe.path, engine)
        return {
            "database": str(recipe.path),
            "catalogue": engine.catalogue.name,
            "catalogue_version": engine.catalogue.version,
            "policy": engine.policy.name,
            "policy_id": engine.policy_id,
            "step": engine.step,
        }


def _note_carried(path: Path, engine: Engine) -> None:
    if engine.learner.newly_carried and engine.learner.carried is not None:
        note(f"{path}: {engine.learner.carried.words}")
