"""Makes new customer keys and adds them to the key file; what reads the key is `bandit.catalogue.customer_key`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from bandit.catalogue.customer_key import FILE_VARIABLE, KEY_VARIABLE, customer_key
from bandit.errors import InputError

__all__ = ["FILE_VARIABLE", "KEY_VARIABLE", "add_to_key_file", "customer_key", "random_key"]


def random_key() -> bytes:
    """Return a random key of 256 bits, in hex."""
    return secrets.token_hex(32).encode()


def add_to_key_file(key: bytes) -> None:
    """Add a key to the key file as its last line, and flush it to the disk; InputError without a key file.

    The file is made, for its owner alone, if it is not there.
    """
    name = os.environ.get(FILE_VARIABLE, "")
    if not name:
        raise InputError(
            f"{FILE_VARIABLE} is not set, so there is no key file to add a key to; set it, or add the new key to "
            f"{KEY_VARIABLE} as its last line"
        )
    path = Path(name)
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "rb+") as file:
            before = file.read()
            file.write((b"" if before.endswith(b"\n") or not before else b"\n") + key + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as fault:
        raise InputError(f"{path}: the new key cannot be added ({fault.strerror}); add it as its last line") from fault
