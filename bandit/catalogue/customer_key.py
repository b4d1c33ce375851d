"""Reads the key that customers are hashed with from the environment: a variable, or a file that a variable names."""

from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path

from bandit.errors import InputError

KEY_VARIABLE = "OFFER_BANDIT_KEY"
"""Environment variable that holds the key."""

FILE_VARIABLE = "OFFER_BANDIT_KEY_FILE"
"""Environment variable that holds the path of a file with the key; one line end after the key is dropped.

After a rotation the file has one key a line, oldest first."""


def customer_key(*, missing_ok: bool = False) -> bytes | None:
    """Return the key from the environment, None if it is not set; InputError if it cannot be used.

    After a rotation it has one key a line, oldest first. UserWarning for a key file that other users than its owner may
    read. With `missing_ok`, None for a key file that is not there yet.
    """
    key = os.environ.get(KEY_VARIABLE, "").encode()
    name = os.environ.get(FILE_VARIABLE, "")
    if key and name:
        raise InputError(f"{KEY_VARIABLE} and {FILE_VARIABLE} both give the customer key; set one of them")
    if missing_ok and name and not Path(name).exists():
        return None
    return _from_file(Path(name)) if name else key or None


def _from_file(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        key = path.read_bytes()
    except OSError as fault:
        raise InputError(
            f"{path}: the customer key cannot be read ({fault.strerror}); correct {FILE_VARIABLE} or its permissions"
        ) from fault
    key = key.removesuffix(b"\n").removesuffix(b"\r")
    if not key:
        raise InputError(f"{path}: the file of the customer key is empty; write 32 random bytes in hex to it")
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        warnings.warn(
            f"{path}: others may read the customer key, with which customers can be found again; "
            f"`chmod 600 {path}` keeps it to its owner",
            stacklevel=3,
        )
    return key
