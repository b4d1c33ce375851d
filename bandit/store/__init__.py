"""The log of decisions and events, and the ledger of what was learned, in one SQLite file."""

from bandit.store.files import file_size, wal_path
from bandit.store.intake import Folded, Intake, closed, outage
from bandit.store.learning import state_hash
from bandit.store.leases import Lease, learner
from bandit.store.log import ContextReader, OfferMap, StoreLog
from bandit.store.rows import (
    PLACEHOLDER,
    UNKNOWN_POLICY,
    CatalogueRow,
    Counts,
    DecisionColumns,
    DecisionRows,
    DueColumns,
    EventColumns,
    EventReceipt,
    EventRows,
    PolicyRow,
    Snapshot,
    Step,
    Where,
)
from bandit.store.store import Store

__all__ = [
    "PLACEHOLDER",
    "UNKNOWN_POLICY",
    "CatalogueRow",
    "ContextReader",
    "Counts",
    "DecisionColumns",
    "DecisionRows",
    "DueColumns",
    "EventColumns",
    "EventReceipt",
    "EventRows",
    "Folded",
    "Intake",
    "Lease",
    "OfferMap",
    "PolicyRow",
    "Snapshot",
    "Step",
    "Store",
    "StoreLog",
    "Where",
    "closed",
    "file_size",
    "learner",
    "outage",
    "state_hash",
    "wal_path",
]
