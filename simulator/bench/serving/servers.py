"""The servers that are measured, as processes: the service by its command, and an empty route under the same server."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from bandit.errors import InputError

_SERVE = "import sys; from bandit.cli import main; sys.exit(main(sys.argv[1:]))"
_EMPTY = "import sys; from simulator.bench.serving.servers import serve_empty; serve_empty(int(sys.argv[1]))"
_START_WITHIN = 120.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class EmptyWorker:
    """A worker that answers POST /decide with an empty object through FastAPI, and does nothing else."""

    def __call__(self, listener: socket.socket, signs: Connection) -> None:
        """Serve until a signal says to end."""
        import uvicorn  # noqa: PLC0415 - an extra
        from fastapi import FastAPI, Request, Response  # noqa: PLC0415 - an extra

        app = FastAPI(openapi_url=None)

        async def decide(request: Request) -> Response:
            await request.body()
            return Response(b"{}", media_type="application/json")

        # FastAPI reads the annotations, whose names are imported here.
        decide.__annotations__ = {"request": Request, "return": Response}
        app.add_api_route("/decide", decide, methods=["POST"], response_model=None)
        signs.send_bytes(b"1")
        uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none")).run(sockets=[listener])


def serve_empty(workers: int) -> None:
    """Serve the empty route with so many workers, and print its address as the command `serve` does."""
    from bandit.service.options import ServiceOptions  # noqa: PLC0415 - needs the extra
    from bandit.service.supervisor import WorkerSupervisor  # noqa: PLC0415 - needs the extra

    with socket.create_server(("127.0.0.1", 0), backlog=2_048) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sys.stdout.write(json.dumps({"address": f"http://127.0.0.1:{listener.getsockname()[1]}"}) + "\n")
        sys.stdout.flush()
        WorkerSupervisor(EmptyWorker(), listener, ServiceOptions(workers=workers)).run()


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that runs: its process, its port, and the seconds that it took until it answered."""

    process: subprocess.Popen[bytes]
    port: int
    start_seconds: float = 0.0

    def worker(self) -> int | None:
        """Return the process id of one of the service's workers, None where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status", timeout=5) as answer:
                return int(json.load(answer)["worker"])
        except (OSError, ValueError):
            return None

    def cpu_seconds(self) -> float:
        """Return the processor time of the server and its workers so far, those that ended among them, in seconds."""
        return sum(map(_cpu_of, [self.process.pid, *_children(self.process.pid)]))

    def youngest_seconds(self) -> float:
        """Return how long ago the youngest of the server's processes was started."""
        with contextlib.suppress(OSError, IndexError):
            uptime = float(Path("/proc/uptime").read_text().split()[0])
            started = [_stat(number)[_STARTED] for number in _children(self.process.pid)]
            return uptime - max(started) / _TICKS
        return 0.0


@contextlib.contextmanager
def service(database: Path, workers: int, log: Path, learn_every: str) -> Iterator[RunningServer]:
    """Yield the service on a database that knows its policy; it is told to end afterwards."""
    options = ["--workers", str(workers), "--learn-every", learn_every, "--port", "0", "--log-level", "warning"]
    with _running([_SERVE, "serve", str(database), *options, "--json"], log) as found:
        yield found


@contextlib.contextmanager
def empty_route(workers: int, log: Path) -> Iterator[RunningServer]:
    """Yield a server of the empty route."""
    with _running([_EMPTY, str(workers)], log) as found:
        yield found


@contextlib.contextmanager
def _running(arguments: list[str], log: Path) -> Iterator[RunningServer]:
    with log.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", *arguments], stdout=subprocess.PIPE, stderr=errors
        )
        try:
            line = process.stdout.readline() if process.stdout is not None else b""
            if not line:
                raise InputError(f"the server did not start; its log says: {log.read_text()[-500:]}")
            port = int(json.loads(line)["address"].rpartition(":")[2])
            begun = time.monotonic()
            _wait_for(port)
            yield RunningServer(process, port, time.monotonic() - begun)
        finally:
            process.terminate()
            process.wait(60)
            if process.stdout is not None:
                process.stdout.close()


def _wait_for(port: int) -> None:
    """Wait until the server answers, whatever it answers."""
    end = time.monotonic() + _START_WITHIN
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=_START_WITHIN):
                return
        except urllib.error.HTTPError as answer:
            if answer.code != 503:
                return
        except OSError:
            pass
        time.sleep(0.1)


def _children(number: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(each) for each in Path(f"/proc/{number}/task/{number}/children").read_text().split()]
    return []


def _cpu_of(number: int) -> float:
    """Return the processor time of a process and of its children that have ended, in seconds."""
    with contextlib.suppress(OSError):
        return sum(_stat(number)[_CPU]) / _TICKS
    return 0.0


def _stat(number: int) -> list[int]:
    """Return the numbers of /proc/N/stat from the fourth field on (proc(5))."""
    return [int(each) for each in Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1:]]


_CPU, _STARTED = slice(10, 14), 18
