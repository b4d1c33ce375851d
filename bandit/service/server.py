"""Starting the service: the address, one process or several under a supervisor, and the signals that end it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING

from bandit.errors import InputError, MissingExtraError
from bandit.service.service_log import log_event, set_up_log
from bandit.service.service_metrics import FOLDER_VARIABLE
from bandit.service.supervisor import WorkerSupervisor

if TYPE_CHECKING:
    from bandit.service.options import ServiceOptions
    from bandit.service.recipe import EngineRecipe

KEEP_ALIVE = 75
"""Seconds that an idle connection is kept: longer than load balancers do, which else send into a closed one."""

_PARENT_LOOK = 1.0


@dataclass(frozen=True, slots=True)
class ServiceWorker:
    """One worker: it serves on a socket in its own process, which it ends when its supervisor has ended."""

    recipe: EngineRecipe
    options: ServiceOptions
    supervisor: int | None = None

    def __call__(self, listener: socket.socket, signs: connection.Connection | None = None) -> None:
        """Serve until a signal says to end; a sign of life is sent each second."""
        import uvicorn  # noqa: PLC0415 - an extra

        from bandit.service.app import create_app  # noqa: PLC0415 - needs the extra

        set_up_log(self.options.log_level, self.recipe.path, access=self.options.access_log)
        if self.supervisor is not None:
            threading.Thread(target=self._watch_supervisor, name="offer-bandit supervisor", daemon=True).start()

        def sign(ready: bool) -> None:
            if signs is not None:
                with contextlib.suppress(OSError):
                    signs.send_bytes(b"1" if ready else b"0")

        config = uvicorn.Config(
            create_app(self.recipe, self.options, on_beat=sign),
            log_config=None,
            access_log=self.options.access_log,
            ws="none",
            lifespan="on",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=max(1, round(self.options.graceful)),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # uvicorn raises the signal again once it has ended well
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor's, if there is one
        uvicorn.Server(config).run(sockets=[listener])

    def _watch_supervisor(self) -> None:
        while os.getppid() == self.supervisor:
            time.sleep(_PARENT_LOOK)
        log_event("the supervisor has ended, and this worker ends too", level="error")
        os.kill(os.getpid(), signal.SIGTERM)


def check_extra() -> None:
    """Raise MissingExtraError where the libraries of the service are not installed."""
    for name in ("fastapi", "uvicorn", "prometheus_client"):
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError("the service", "service")


def run_service(recipe: EngineRecipe, options: ServiceOptions, on_start: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, and let what was begun end first; `on_start` is given the address.

    With several workers each is a process of its own. One that ends is replaced; SIGHUP replaces all of them, one
    after another, so that they take up a newer policy or catalogue of the database. MissingExtraError where a library
    is not installed, InputError for an address that cannot be used.
    """
    check_extra()
    with _listening(options) as (listener, address), _run_folder(options) as shared:
        set_up_log(shared.log_level, recipe.path, access=shared.access_log)
        if shared.workers == 1:
            on_start(address)
            ServiceWorker(recipe, shared)(listener)
            return
        supervisor = WorkerSupervisor(ServiceWorker(recipe, shared, os.getpid()), listener, shared)
        on_start(address)
        supervisor.run()


@contextlib.contextmanager
def _run_folder(options: ServiceOptions) -> Iterator[ServiceOptions]:
    """Yield the options with a folder that several workers share, which is removed at the end."""
    if options.workers == 1:
        yield options
        return
    folder = tempfile.mkdtemp(prefix="offer-bandit-")
    os.environ[FOLDER_VARIABLE] = folder
    try:
        yield replace(options, run_folder=Path(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _listening(options: ServiceOptions) -> Iterator[tuple[socket.socket, str]]:
    """Yield a socket that listens, and the address; InputError where it cannot."""
    if options.uds is None:
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        try:
            listener = socket.create_server((options.host, options.port), family=family, backlog=2_048)
        except (OSError, OverflowError) as fault:
            why = getattr(fault, "strerror", None) or str(fault)
            raise InputError(
                f"{options.host}, port {options.port}: cannot be served on ({why}); choose another --host or --port"
            ) from fault
        host = f"[{options.host}]" if family == socket.AF_INET6 else options.host
        # Connections take it over; asyncio sets it only where a socket names its protocol. Without it an answer, sent
        # in two parts, waits 40 ms for the client to acknowledge the first.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with listener:
            yield listener, f"http://{host}:{listener.getsockname()[1]}{options.root_path}"
        return
    _remove_stale(options.uds)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(options.uds))
        options.uds.chmod(0o660)
        listener.listen(2_048)
    except OSError as fault:
        raise InputError(
            f"{options.uds}: cannot be served on ({fault.strerror or fault}); choose another --uds"
        ) from fault
    with listener:
        try:
            yield listener, f"unix:{options.uds}"
        finally:
            options.uds.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on; InputError for one that is in use, and for another file."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise InputError(f"{path}: is there and is no socket; choose another --uds")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise InputError(f"{path}: another program listens there; end it, or choose another --uds")
