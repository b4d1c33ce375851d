"""The key under which customers are hashed, from outside the database: a variable, or a file that one names."""

from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path

from bandit.errors import InputError

KEY_VARIABLE = "OFFER_BANDIT_KEY"
"""Environment variable with the key itself."""

FILE_VARIABLE = "OFFER_BANDIT_KEY_FILE"
"""Environment variable with the path of a file that has the key, and a line end at most after it."""


def customer_key() -> bytes | None:
    """Return the key that the environment gives, None where it gives none; InputError where it cannot be used.

    A key file that others than its owner may read is used with a UserWarning.
    """
    key = os.environ.get(KEY_VARIABLE, "").encode()
    name = os.environ.get(FILE_VARIABLE, "")
    if key and name:
        raise InputError(f"{KEY_VARIABLE} and {FILE_VARIABLE} both give the customer key; set one of them")
    return _from_file(Path(name)) if name else key or None


def _from_file(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        key = path.read_bytes()
    except OSError as fault:
        raise InputError(
            f"{path}: the customer key cannot be read ({fault.strerror}); mend {FILE_VARIABLE} or its permissions"
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
