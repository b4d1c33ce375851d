"""The settings of the HTTP service: one record, its defaults and its checks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from bandit.errors import InputError

LOCAL_ADDRESSES = ("127.0.0.1", "localhost", "::1")
"""Addresses that only this machine reaches."""

LOG_LEVELS = ("debug", "info", "warning", "error")
"""How much is logged: "info" has a line for each request that decides or records, "warning" none."""

MOST_WORKERS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """The settings of a service; InputError for a value that cannot be used.

    `learn_every` is in seconds, None for a service that does not learn. `max_body` is in bytes, `max_batch` counts
    decisions or events. `deadline` is how many seconds a request may take, `graceful` how many a service that is told
    to end waits for the requests it has begun. `docs` says whether /docs and /openapi.json are served; None means that
    they are where there is no token. `run_folder` is a folder that the workers of one service share, None with one.

    >>> ServiceOptions(workers=2).is_local
    True
    """

    workers: int = 1
    learn_every: float | None = 10.0
    host: str = "127.0.0.1"
    port: int = 8080
    uds: Path | None = None
    root_path: str = ""
    token_file: Path | None = None
    max_body: int = 1_048_576
    max_batch: int = 1_000
    deadline: float = 2.0
    graceful: float = 30.0
    docs: bool | None = None
    access_log: bool = False
    log_level: str = "info"
    run_folder: Path | None = None

    def __post_init__(self) -> None:
        whole = (("workers", self.workers, MOST_WORKERS), ("max-batch", self.max_batch, 100_000))
        for name, value, most in whole:
            if not 1 <= value <= most:
                raise InputError(f"--{name} is a number from 1 to {most:,}; seen {value:,}")
        if not 1_000 <= self.max_body <= 2**31:
            raise InputError(f"--max-body is a number of bytes from 1,000 to {2**31:,}; seen {self.max_body:,}")
        if not 0 <= self.port <= 65_535:
            raise InputError(f"--port is a number from 0 to 65535; seen {self.port}")
        for name, seconds in (("deadline", self.deadline), ("graceful", self.graceful)):
            if not (math.isfinite(seconds) and 0.01 <= seconds <= 3_600.0):
                raise InputError(f"--{name} is a number of seconds from 0.01 to 3600; seen {seconds:g}")
        if self.learn_every is not None and not (math.isfinite(self.learn_every) and self.learn_every >= 0.1):
            raise InputError(f"--learn-every is a duration of 0.1 s or more; seen {self.learn_every:g} s")
        if self.root_path and not (self.root_path.startswith("/") and not self.root_path.endswith("/")):
            raise InputError(
                f'--root-path begins with "/" and does not end with one, as "/offers"; seen {self.root_path!r}'
            )
        if self.log_level not in LOG_LEVELS:
            raise InputError(f"--log-level is one of {', '.join(LOG_LEVELS)}; seen {self.log_level!r}")

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the service."""
        return self.uds is not None or self.host in LOCAL_ADDRESSES

    @property
    def shows_docs(self) -> bool:
        """Whether /docs and /openapi.json are served."""
        return self.token_file is None if self.docs is None else self.docs

    @property
    def busy_timeout(self) -> float:
        """Seconds that an engine waits for a locked database: half of the deadline, so that the fallback meets it."""
        return min(5.0, self.deadline / 2.0)
