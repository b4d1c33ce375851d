"""The place of a dataset: a folder on a disk, or one at any address that fsspec can open."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from bandit.errors import InputError, LogFileError, MissingExtraError
from bandit.store.database_file import create_private, keep_mode, sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADDRESS = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]+):/+(.*)$")
_LOCAL = frozenset({"file", "local"})
_BLOCK_BYTES = 8 << 20
"""Bytes that are collected for each file that is written to an object store before they are sent."""

_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "adl": "adlfs",
    "hf": "huggingface_hub",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "smb": "smbprotocol",
    "http": "aiohttp",
    "https": "aiohttp",
    "webhdfs": "requests",
}


class DatasetFolder(Protocol):
    """A folder of files that are named by paths with `/`; small, picklable, and opened where it is used."""

    @property
    def address(self) -> str:
        """The address, for messages and for another process."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether the files are on a disk of this machine, so that another machine may not see them."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, None where there is no such file."""
        ...

    def replace(self, name: str, content: bytes) -> None:
        """Write a file as a whole: a reader sees the former content or this one."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading at any place; FileNotFoundError where there is none."""
        ...

    def create(self, name: str) -> BinaryIO:
        """Create a file, and the folders above it, for writing from its start to its end."""
        ...

    def names(self) -> list[str]:
        """Return the paths of all files."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no fault."""
        ...

    def sync(self) -> None:
        """Wait until the entries of files that were closed are on the disk, where that can be asked for."""
        ...


@dataclass(frozen=True)
class LocalFolder:
    """A folder on a disk of this machine; its files may be read by their owner alone.

    `path` is absolute, and `address` the path as it was given.
    """

    path: str
    address: str

    @property
    def is_local(self) -> bool:
        """True."""
        return True

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, None where there is no such file."""
        try:
            return self._at(name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def replace(self, name: str, content: bytes) -> None:
        """Write a file under another name, wait until it is on the disk, and rename it."""
        path = self._at(name)
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            create_private(part)
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            keep_mode(part, path)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        self.sync()

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading."""
        return self._at(name).open("rb")

    def create(self, name: str) -> BinaryIO:
        """Create a file for writing; FileExistsError where it is there."""
        path = self._at(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        create_private(path)
        return path.open("r+b")

    def names(self) -> list[str]:
        """Return the paths of all files, without hidden ones."""
        root = Path(self.path)
        found = [Path(folder, file) for folder, _, files in os.walk(root) for file in files]
        return sorted(path.relative_to(root).as_posix() for path in found if not path.name.startswith("."))

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._at(name).unlink(missing_ok=True)

    def sync(self) -> None:
        """Flush the entries of the folder to the disk."""
        with suppress(OSError):  # a file system that cannot
            sync_directory(Path(self.path))

    def _at(self, name: str) -> Path:
        return Path(self.path, name)


@dataclass(frozen=True)
class RemoteFolder:
    """A folder at an address of fsspec, such as s3://bucket/log; a file is there once it is written completely."""

    address: str

    @property
    def is_local(self) -> bool:
        """False."""
        return False

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, None where there is no such file."""
        try:
            return cast("bytes", self._files.cat_file(self._at(name)))
        except FileNotFoundError:
            return None

    def replace(self, name: str, content: bytes) -> None:
        """Write a file in one request."""
        self._files.makedirs(self._root, exist_ok=True)
        self._files.pipe_file(self._at(name), content)

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading."""
        return cast("BinaryIO", self._files.open(self._at(name), "rb"))

    def create(self, name: str) -> BinaryIO:
        """Create a file for writing."""
        path = self._at(name)
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        return cast("BinaryIO", self._files.open(path, "wb", block_size=_BLOCK_BYTES))

    def names(self) -> list[str]:
        """Return the paths of all files."""
        root = self._root.rstrip("/") + "/"
        try:
            found = self._files.find(self._root)
        except FileNotFoundError:
            return []
        return sorted(path.split(root, 1)[-1] for path in found)

    def remove(self, name: str) -> None:
        """Remove a file."""
        with suppress(FileNotFoundError):
            self._files.rm_file(self._at(name))

    def sync(self) -> None:
        """Do nothing: what is closed is stored."""

    def __getstate__(self) -> dict[str, str]:
        return {"address": self.address}

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    @property
    def _files(self) -> Any:  # noqa: ANN401 - fsspec has no types
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1]

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        """Return the file system and the path in it; InputError where its package is missing or nobody knows it."""
        try:
            import fsspec  # noqa: PLC0415 - an optional extra
        except ImportError as fault:
            raise MissingExtraError(f"{self.address}: a dataset that is not in a local folder", "cluster") from fault
        protocol = self.address.partition(":")[0].lower()
        try:
            files, root = fsspec.core.url_to_fs(self.address)
        except ImportError as fault:
            package = _PACKAGES.get(protocol)
            needed = f"the package {package}: pip install {package}" if package else f"a package ({fault})"
            raise InputError(f"{self.address}: addresses of {protocol}:// need {needed}") from fault
        except ValueError as fault:
            raise InputError(
                f"{self.address}: there are no addresses of {protocol}://; give a folder, or an address that fsspec "
                "knows, such as s3://bucket/log"
            ) from fault
        return files, root


def folder_of(address: str | Path) -> DatasetFolder:
    """Return the folder of an address: a path, or protocol://place. A path in which `//` became `/` is understood."""
    found = _ADDRESS.match(str(address))
    if found is None:
        return LocalFolder(str(Path(address).absolute()), str(address))
    protocol, rest = found.groups()
    if protocol.lower() in _LOCAL:
        return LocalFolder(str(Path("/" + rest).absolute()), "/" + rest)
    return RemoteFolder(f"{protocol}://{rest}")


def is_address(path: str | Path) -> bool:
    """Return whether this is an address with a protocol, not a path.

    >>> is_address("s3://bucket/log"), is_address("log/offers")
    (True, False)
    """
    return _ADDRESS.match(str(path)) is not None


def file_hash() -> hashlib.blake2b:
    """Return a new hash of a file's bytes, blake2b of 128 bits."""
    return hashlib.blake2b(digest_size=16)


class HashingFile:
    """A file being written whose bytes are counted and hashed on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = file_hash()
        self.n_bytes = 0

    @property
    def digest(self) -> str:
        """The hash of what was written, blake2b of 128 bits in hex."""
        return self._hash.hexdigest()

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    def write(self, content: bytes) -> int:
        """Write some bytes."""
        self._hash.update(content)
        self._file.write(content)
        self.n_bytes += len(content)
        return len(content)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self.n_bytes

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is closed."""

    def close(self) -> None:
        """Close the file once its bytes are on the disk, where it is on one."""
        if not self._file.closed:
            self._file.flush()
            with suppress(OSError, AttributeError):  # a file of an object store has no descriptor
                os.fsync(self._file.fileno())
            self._file.close()


@contextmanager
def folder_faults(folder: DatasetFolder, doing: str) -> Iterator[None]:
    """Turn what a file system says into LogFileError: "DIR: cannot be written: no space left on device"."""
    try:
        yield
    except OSError as fault:
        why = fault.strerror or str(fault) or type(fault).__name__
        raise LogFileError(f"{folder.address}: cannot be {doing}: {why}; check the address and your rights") from fault
