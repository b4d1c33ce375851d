"""The command anchor, and what the option --chain of verify adds: the chain of hashes over the log."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import TYPE_CHECKING

from bandit.cli.console import progress, show, show_json
from bandit.cli.options import AsJson, Database
from bandit.errors import InputError
from bandit.printable import counted

if TYPE_CHECKING:
    from bandit.store import ChainAnchor, ChainReport, Store

_LARGEST_FILE = 1 << 20


def anchor(db: Database, as_json: AsJson = False) -> None:
    """Print the head of the log's chain, to be kept elsewhere: later it proves that the log up to here is the same.

    Each transaction adds a link to the chain, a hash of what it wrote and of the link before. Keep the printed line
    where the database's users cannot change it, and give it to `verify --anchor`. With a customer key, --json adds a
    signature that only the key can make, so that the anchor itself cannot be made up.
    """
    from bandit.cli.databases import reading, reading_without_key
    from bandit.clock import now
    from bandit.store.customer_key import customer_key

    key = customer_key()
    with reading_without_key(db) if key is None else reading(db) as store, store.one_state():
        head, counts = store.chain_head(), store.counts()
    if as_json:
        document: dict[str, object] = {
            "anchor": str(head),
            "time": now(),
            "decisions": counts.decisions,
            "events": counts.events,
        }
        show_json(document | ({} if key is None else {"signature": head.signature(key.splitlines()[-1])}))
        return
    show([], [str(head)])


def check_chain_of(store: Store, given: str | None) -> ChainReport:
    """Check the chain of a store, against an anchor or a file with one if given."""
    anchor = None if given is None else _read_anchor(given)
    with progress("checking the chain") as report:
        return store.check_chain(anchor, report)


def chain_lines(report: ChainReport) -> list[str]:
    """Return what the chain shows where no problem was found, one sentence a line."""
    links, rows = counted(report.head.number, "link"), counted(report.n_rows, "row")
    lines = [f"The chain is whole: {links} over {rows}, each as it was written."]
    if report.n_deleted:
        lines.append(
            f"{counted(report.n_deleted, 'row', ('was', 'were'))} removed or written again by erasures, retention "
            "runs and rotations of the customer key; the hashes are still in the chain."
        )
    if report.anchored:
        lines.append("The chain contains the anchor: what was written up to it is the same.")
    return lines


def _read_anchor(given: str) -> ChainAnchor:
    """Return the anchor that an argument gives, or the last one in the file that it names; InputError without one."""
    from bandit.store import ChainAnchor

    path = Path(given)
    try:
        is_file = path.is_file()
    except OSError:
        is_file = False
    if not is_file:
        if ":" not in given:
            raise InputError(f'--anchor: "{given[:200]}" is neither a file nor an anchor; give what `anchor` printed')
        return ChainAnchor.parse(given)
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_FILE).decode().strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"{path}: cannot be read as an anchor ({fault}); give what `anchor` printed") from fault
    if not text.startswith("{"):
        lines = text.splitlines()
        return ChainAnchor.parse(lines[-1] if lines else "")
    return _signed_anchor(path, text)


def _signed_anchor(path: Path, text: str) -> ChainAnchor:
    import msgspec

    from bandit.store import ChainAnchor
    from bandit.store.customer_key import customer_key

    try:
        document = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError as fault:
        raise InputError(
            f"{path}: is not the JSON of one anchor ({fault}); give what `anchor --json` printed"
        ) from fault
    found = ChainAnchor.parse(str(document.get("anchor", "")))
    key, signature = customer_key(), document.get("signature")
    keys = [] if key is None else [key, *key.splitlines()]  # it was signed with the newest key of its time
    if (
        keys
        and signature is not None
        and not any(hmac.compare_digest(str(signature), found.signature(each)) for each in keys)
    ):
        raise InputError(f"{path}: the anchor was not signed with this customer key; take it from where it was kept")
    return found
