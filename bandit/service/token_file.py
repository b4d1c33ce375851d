"""The bearer tokens of the service: read from a file, and read again when the file changes."""

from __future__ import annotations

import hmac
import stat
import time
from pathlib import Path

from bandit.errors import InputError

SHORTEST_TOKEN = 16
"""Fewest characters of a token: below it could be guessed."""

TOKEN_LOOK_INTERVAL = 1.0
"""Seconds after which the file is looked at again."""

_LARGEST_FILE = 65_536


class TokenFile:
    """The tokens in a file, one a line; any of them is accepted, so that a new one can be added before an old one goes.

    Where the file cannot be read any more, or has no token, the tokens that were read last stay valid, and `fault`
    says why.
    """

    def __init__(self, path: Path) -> None:
        """Read the file; InputError where it cannot be read, is empty, or has a token that could be guessed."""
        self.path = path
        self.fault: str | None = None
        self._seen: tuple[int, int, int] | None = None
        self._tokens: tuple[bytes, ...] = ()
        self._next_look = 0.0
        self._read()

    @property
    def readable_by_others(self) -> bool:
        """Whether others than the file's owner may read it."""
        try:
            return bool(self.path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
        except OSError:
            return False

    def accepts(self, authorization: bytes | None) -> bool:
        """Say whether the value of an Authorization header has one of the tokens; it takes as long for any other."""
        self._look()
        scheme, _, given = (authorization or b"").partition(b" ")
        given = given.strip()
        found = False
        for token in self._tokens:
            found |= hmac.compare_digest(token, given)
        return found and scheme.lower() == b"bearer"

    def _look(self) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + TOKEN_LOOK_INTERVAL
        try:
            if self._mark() != self._seen:
                self._read()
            self.fault = None
        except (InputError, OSError) as fault:
            self.fault = fault.strerror if isinstance(fault, OSError) else str(fault)

    def _mark(self) -> tuple[int, int, int]:
        found = self.path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> None:
        try:
            mark = self._mark()
            with self.path.open("rb") as file:
                content = file.read(_LARGEST_FILE)
        except OSError as fault:
            raise InputError(f"{self.path}: the token cannot be read ({fault.strerror}); give another file") from fault
        tokens = tuple(line.strip() for line in content.splitlines() if line.strip())
        if not tokens:
            raise InputError(
                f"{self.path}: has no token; write one to it: "
                'python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
        if any(len(token) < SHORTEST_TOKEN for token in tokens):
            raise InputError(f"{self.path}: has a token of fewer than {SHORTEST_TOKEN} characters; make a longer one")
        if any(not token.isascii() or b" " in token for token in tokens):
            raise InputError(f"{self.path}: a token is ASCII text without spaces, one a line")
        self._tokens, self._seen = tokens, mark
