"""The bytes of a database file that hold content: those of its b-tree pages and overflow pages, by table or index."""

import sqlite3

HEADER_BYTES = 100
_LEAF_OR_INTERIOR = {2: 12, 5: 12, 10: 8, 13: 8}


def content_bytes(path):
    """Return {name of a table or index: [offsets of its content bytes]}, without gaps, free blocks and free pages.

    The schema's own page is under "sqlite_schema"; overflow pages are under what they belong to.
    """
    data = path.read_bytes()
    size = int.from_bytes(data[16:18], "big")
    raw = sqlite3.connect(path)
    roots = dict(raw.execute("SELECT rootpage, name FROM sqlite_master WHERE rootpage > 0")) | {1: "sqlite_schema"}
    raw.close()
    found = {}
    for root, name in roots.items():
        found[name] = []
        waiting = [root]
        while waiting:
            page = waiting.pop()
            offsets, more = _page(data, page, size)
            found[name] += offsets
            waiting += more
    return found


def _page(data, number, size):
    """Return the offsets of a page's content, and the pages below it. Overflow pages are left out."""
    begin = (number - 1) * size
    head = begin + (HEADER_BYTES if number == 1 else 0)
    kind = data[head]
    header = _LEAF_OR_INTERIOR[kind]
    cells = int.from_bytes(data[head + 3 : head + 5], "big")
    first = int.from_bytes(data[head + 5 : head + 7], "big") or 65_536
    pointers = range(head + header, head + header + 2 * cells, 2)
    places = [begin + int.from_bytes(data[at : at + 2], "big") for at in pointers]
    below = [int.from_bytes(data[at : at + 4], "big") for at in places] if header == 12 else []
    if header == 12:
        below.append(int.from_bytes(data[head + 8 : head + 12], "big"))
    free = set()
    block = int.from_bytes(data[head + 1 : head + 3], "big")
    while block:
        at = begin + block
        free |= set(range(at, at + int.from_bytes(data[at + 2 : at + 4], "big")))
        block = int.from_bytes(data[at : at + 2], "big")
    content = [at for at in range(begin + first, begin + size) if at not in free]
    return [*range(head, head + 1), *range(head + 3, head + 5), *pointers, *content], below
