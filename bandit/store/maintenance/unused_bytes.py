"""Overwrites what SQLite keeps no content in: the unused bytes of a database file, where old content may be left.

Between the cells of a page, in its freed blocks, behind the last part of a long value and on free pages there may be
copies of what was deleted, or of what was moved to another page and deleted there. The structure of the pages (SQLite,
"Database File Format", sections 1.5 and 1.6) says which bytes those are; they are read in large blocks and set to zero
where they are not. No byte that is in use is ever written, so that a power cut half-way leaves a sound file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bandit.domain import BoolArray, IntArray, Progress

BLOCK_BYTES = 32 << 20
"""Bytes of the file that are looked at at a time."""

MOST_PAGES = 1 << 25
"""With more pages, the number of a page could look like the first byte of a table's page."""

_LOCK_BYTE = 1 << 30
_INDEX_INNER, _TABLE_INNER, _INDEX_LEAF, _TABLE_LEAF = 2, 5, 10, 13
_FILE_HEADER = 100
_LONGEST_VARINT = 9

Bytes: TypeAlias = NDArray[np.uint8]


class UnknownLayoutError(Exception):
    """What in a file is not as this module knows it; the file is to be rewritten as a whole instead."""


@dataclass(frozen=True, slots=True)
class UnusedBytesReport:
    """The bytes that were set to zero, the pages that are free, and all pages of the file."""

    wiped: int
    free_pages: int
    pages: int


def free_share(fd: int) -> float:
    """Return the share of a file's pages that are free, by its header; 0 for an empty file."""
    head = os.pread(fd, _FILE_HEADER, 0)
    pages, free = (int.from_bytes(head[at : at + 4], "big") for at in (28, 36))
    return free / pages if pages else 0.0


def wipe_unused(fd: int, progress: Progress | None = None) -> UnusedBytesReport:
    """Set all unused bytes of a database file to zero, and flush it to the disk.

    The caller has SQLite's write lock, and the write-ahead log is empty: then the file does not change, and all of it
    is in the file. `progress` is called with bytes done and in all. UnknownLayoutError, before or while bytes are
    set to zero, for a file that is laid out otherwise.
    """
    return _Wiping(fd, _Layout.of(fd)).run(progress)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The size of a page, the number of pages, the free ones that list others, and those that are listed."""

    page: int
    n: int
    trunks: dict[int, int]
    leaves: IntArray

    @staticmethod
    def of(fd: int) -> _Layout:
        head = os.pread(fd, _FILE_HEADER, 0)
        if len(head) < _FILE_HEADER or not head.startswith(b"SQLite format 3\0"):
            raise UnknownLayoutError("it has no header of SQLite's")
        page = int.from_bytes(head[16:18], "big")
        page = 65_536 if page == 1 else page
        n, trunk, n_free, largest_root = (int.from_bytes(head[at : at + 4], "big") for at in (28, 32, 36, 52))
        if head[20] or largest_root or n * page != os.fstat(fd).st_size or n >= MOST_PAGES:
            raise UnknownLayoutError("it has reserved bytes, pointer maps, another size or too many pages")
        trunks: dict[int, int] = {}
        leaves: list[IntArray] = []
        while trunk:
            if trunk in trunks or trunk > n:
                raise UnknownLayoutError("its list of free pages goes round")
            words = np.frombuffer(os.pread(fd, page, (trunk - 1) * page), dtype=">u4")
            listed = int(words[1])
            if listed > len(words) - 2:
                raise UnknownLayoutError("a page lists more free ones than fit")
            trunks[trunk] = 8 + 4 * listed
            leaves.append(words[2 : 2 + listed].astype(np.int64))
            trunk = int(words[0])
        found = np.concatenate(leaves) if leaves else np.zeros(0, dtype=np.int64)
        if len(trunks) + len(found) != n_free or (len(found) and (found.min() < 1 or found.max() > n)):
            raise UnknownLayoutError("its list of free pages is another than its header says")
        return _Layout(page, n, trunks, found)


@dataclass(slots=True)
class _Wiping:
    """One pass over a file; `first` and `rest` are the first page and the bytes of each value that has own pages."""

    fd: int
    layout: _Layout
    wiped: int = 0
    first: list[IntArray] = field(default_factory=list)
    rest: list[IntArray] = field(default_factory=list)

    def run(self, progress: Progress | None) -> UnusedBytesReport:
        layout, fd = self.layout, self.fd
        page, n = layout.page, layout.n
        # By page number, from 1: the next page of a long value, and the place after its last byte that is not zero.
        following, used = np.zeros(n + 1, dtype=np.uint32), np.zeros(n + 1, dtype=np.int32)
        is_long = np.zeros(n + 1, dtype=np.bool_)
        free = np.zeros(n + 1, dtype=np.bool_)
        free[layout.leaves] = True
        free[list(layout.trunks)] = True
        at_once = max(1, BLOCK_BYTES // page)
        for start in range(0, n, at_once):
            block = os.pread(fd, min(at_once, n - start) * page, start * page)
            pages = np.frombuffer(block, dtype=np.uint8).reshape(-1, page)
            numbers = np.arange(start + 1, start + 1 + len(pages))
            kind = pages[:, 0].astype(np.int64)
            if not start:
                kind[0] = pages[0, _FILE_HEADER]
            tree = np.isin(kind, (_INDEX_INNER, _TABLE_INNER, _INDEX_LEAF, _TABLE_LEAF)) & ~free[numbers]
            self._trees(pages, numbers, kind, np.flatnonzero(tree))
            others = np.flatnonzero(~tree & (numbers != _LOCK_BYTE // page + 1))
            used[numbers[others]] = _ends(pages[others])
            long = others[~free[numbers[others]]]
            following[numbers[long]] = _word(pages.reshape(-1), long * page)
            is_long[numbers[long]] = True
            if progress is not None:
                progress(min(start + at_once, n) * page, n * page)
        self._long_values(following, used, is_long)
        for number in layout.leaves[used[layout.leaves] > 0].tolist():
            self._wipe((number - 1) * page, page)
        for number, begin in layout.trunks.items():
            if used[number] > begin:
                self._wipe((number - 1) * page + begin, page - begin)
        os.fsync(fd)
        return UnusedBytesReport(self.wiped, len(layout.trunks) + len(layout.leaves), n)

    def _trees(self, pages: Bytes, numbers: IntArray, kinds: IntArray, rows: IntArray) -> None:
        """Wipe the unused bytes in the pages of tables and indexes, and note the values that have own pages."""
        size = self.layout.page
        flat = pages.reshape(-1)
        begin = np.where(numbers[rows] == 1, _FILE_HEADER, 0)
        at, kind = rows * size + begin, kinds[rows]
        blocks, n_cells, content, fragments = (
            _half(flat, at + 1),
            _half(flat, at + 3),
            _half(flat, at + 5),
            flat[at + 7],
        )
        content = np.where(content == 0, 65_536, content)
        pointers = begin + np.where(kind < _INDEX_LEAF, 12, 8)
        gap = pointers + 2 * n_cells
        if (gap > content).any() or (content > size).any():
            raise UnknownLayoutError("a page has cells where its list of cells is")
        self._wipe_ranges(pages, numbers, rows, gap, content)
        place = np.flatnonzero(blocks)
        here = blocks[place]
        while len(place):
            base = rows[place] * size
            if (here + 4 > size).any():
                raise UnknownLayoutError("a freed block is not on its page")
            length, follows = _half(flat, base + here + 2), _half(flat, base + here)
            end = here + length
            if (end > size).any() or ((follows <= here) & (follows > 0)).any():
                raise UnknownLayoutError("freed blocks are not in order")
            self._wipe_ranges(pages, numbers, rows[place], here + 4, end)
            place, here = place[follows > 0], follows[follows > 0]
        # Cells: of tables those of the leaves have values, of indexes all.
        leaf = np.flatnonzero((kind != _TABLE_INNER) | (fragments > 0))
        cells = _Cells.of(flat, size, rows[leaf], kind[leaf], pointers[leaf], n_cells[leaf])
        self.first.append(cells.page[cells.page > 0])
        self.rest.append(cells.rest[cells.page > 0])
        broken = fragments[leaf] > 0
        if broken.any():
            self._wipe_fragments(pages, numbers, rows, leaf[broken], gap, cells, np.flatnonzero(broken))

    def _wipe_fragments(
        self,
        pages: Bytes,
        numbers: IntArray,
        rows: IntArray,
        places: IntArray,
        gap: IntArray,
        cells: _Cells,
        owners: IntArray,
    ) -> None:
        """Wipe what is left between cells and freed blocks in pages where up to three bytes at a time are lost."""
        size = self.layout.page
        bounds = np.searchsorted(cells.owner, np.stack([owners, owners + 1]))
        for place, first, last in zip(places.tolist(), bounds[0].tolist(), bounds[1].tolist(), strict=True):
            row = int(rows[place])
            taken = np.zeros(size + 1, dtype=np.int64)
            taken[0] += 1
            taken[gap[place]] -= 1
            np.add.at(taken, cells.begin[first:last], 1)
            np.add.at(taken, cells.end[first:last], -1)
            block = int(_half(pages[row], np.array([1 + (_FILE_HEADER if numbers[row] == 1 else 0)]))[0])
            while block:
                taken[block] += 1
                taken[block + 4] -= 1
                block = int(_half(pages[row], np.array([block]))[0])
            unused = (np.cumsum(taken)[:size] == 0) & (pages[row] != 0)
            for start, end in _runs(unused):
                self._wipe((int(numbers[row]) - 1) * size + start, end - start)

    def _long_values(self, following: NDArray[np.uint32], used: NDArray[np.int32], is_long: BoolArray) -> None:
        """Follow the pages of each long value to its last one, and wipe what is behind its end."""
        size = self.layout.page
        here = np.concatenate(self.first) if self.first else np.zeros(0, dtype=np.int64)
        rest = np.concatenate(self.rest) if self.rest else here
        seen = 0
        while len(here):
            if (here > self.layout.n).any() or not is_long[here].all():
                raise UnknownLayoutError("a value's next page is none")
            seen += len(here)
            end = rest <= size - 4
            last, n_bytes = here[end], rest[end]
            if following[last].any():
                raise UnknownLayoutError("a value has more pages than it needs")
            dirty = used[last] > 4 + n_bytes
            for number, begin in zip(last[dirty].tolist(), (4 + n_bytes[dirty]).tolist(), strict=True):
                self._wipe((number - 1) * size + begin, size - begin)
            here, rest = following[here[~end]].astype(np.int64), rest[~end] - (size - 4)
        if seen != np.count_nonzero(is_long):
            raise UnknownLayoutError("there are pages that belong to nothing")

    def _wipe_ranges(self, pages: Bytes, numbers: IntArray, rows: IntArray, begin: IntArray, end: IntArray) -> None:
        """Wipe [begin, end) of each of some pages, where a byte of it is not zero."""
        size = self.layout.page
        some = np.flatnonzero(end > begin)
        columns = np.arange(size)
        for part in _parts(some, max(1, BLOCK_BYTES // 4 // size)):
            within = (columns >= begin[part, None]) & (columns < end[part, None])
            dirty = part[((pages[rows[part]] != 0) & within).any(axis=1)]
            for place in dirty.tolist():
                offset = (int(numbers[rows[place]]) - 1) * size + int(begin[place])
                self._wipe(offset, int(end[place] - begin[place]))

    def _wipe(self, offset: int, n: int) -> None:
        zeros = bytes(n)
        if os.pwrite(self.fd, zeros, offset) != n:
            raise OSError("the file could not be written")
        self.wiped += n


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Cells by page: where each begins and ends there, and the first page and size of what is not on it, 0 for none."""

    owner: IntArray
    begin: IntArray
    end: IntArray
    page: IntArray
    rest: IntArray

    @staticmethod
    def of(flat: Bytes, size: int, rows: IntArray, kinds: IntArray, pointers: IntArray, n_cells: IntArray) -> _Cells:
        """Read the cells of m pages, which are `rows` of a block: kinds, places of their lists and numbers, (m,)."""
        owner = np.repeat(np.arange(len(rows)), n_cells)
        nth = np.arange(len(owner)) - np.repeat(np.cumsum(n_cells) - n_cells, n_cells)
        base, kind = rows[owner] * size, kinds[owner]
        begin = _half(flat, base + pointers[owner] + 2 * nth)
        if (begin < 8).any() or (begin + 4 > size).any():
            raise UnknownLayoutError("a cell is not on its page")
        inner = kind < _INDEX_LEAF
        place = base + begin + np.where(inner, 4, 0)
        number, place = _varints(flat, place)
        is_table = kind == _TABLE_LEAF
        place[is_table] = _varints(flat, place[is_table])[1]
        payload = np.where(kind == _TABLE_INNER, 0, number)
        most = np.where(is_table, size - 35, (size - 12) * 64 // 255 - 23)
        least = (size - 12) * 32 // 255 - 23
        kept = least + (payload - least) % (size - 4)
        local = np.where(payload <= most, payload, np.where(kept <= most, kept, least))
        has_pages = payload > local
        end = place - base + local + np.where(has_pages, 4, 0)
        end = np.maximum(end, begin + 4)
        if (end > size).any():
            raise UnknownLayoutError("a cell is longer than its page")
        page = np.zeros(len(owner), dtype=np.int64)
        page[has_pages] = _word(flat, (place + local)[has_pages])
        return _Cells(owner, begin, end, page, payload - local)


def _varints(flat: Bytes, place: IntArray) -> tuple[IntArray, IntArray]:
    """Return SQLite's numbers of variable length at some places, and the places after them."""
    value, after = np.zeros(len(place), dtype=np.int64), place.copy()
    active = np.arange(len(place))
    for nth in range(_LONGEST_VARINT):
        byte = flat[np.minimum(after[active], len(flat) - 1)].astype(np.int64)
        last = nth == _LONGEST_VARINT - 1
        value[active] = (value[active] << 8 | byte) if last else (value[active] << 7 | byte & 0x7F)
        after[active] += 1
        if last:
            break
        active = active[byte >= 0x80]
        if not len(active):
            break
    return value, after


def _half(flat: Bytes, place: IntArray) -> IntArray:
    """Return the numbers of two bytes at some places, the first byte the higher one."""
    return flat[place].astype(np.int64) << 8 | flat[place + 1]


def _word(flat: Bytes, place: IntArray) -> IntArray:
    return _half(flat, place) << 16 | _half(flat, place + 2)


def _ends(pages: Bytes) -> IntArray:
    """Return the place after the last byte of each page that is not zero, 0 for a page of zeros."""
    backwards = pages[:, ::-1] != 0
    found = backwards.argmax(axis=1)
    return np.where(backwards.any(axis=1), pages.shape[1] - found, 0)


def _parts(rows: IntArray, size: int) -> Iterator[IntArray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _runs(marked: BoolArray) -> Iterator[tuple[int, int]]:
    """Yield the beginning and the end of each run of marked places."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
