"""The log of decisions and events, and the ledger of what was learned, in one SQLite file."""

from bandit.store.catalogue_translation import CatalogueTranslation, ContextReader, OfferMap
from bandit.store.database_file import file_size, wal_path
from bandit.store.learning.ledger import state_hash
from bandit.store.log import StoreLog
from bandit.store.records import (
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
from bandit.store.spool.writer import FoldReport, SpooledWriter, closed, outage
from bandit.store.store import Store
from bandit.store.tables.leases import Lease, learner

__all__ = [
    "PLACEHOLDER",
    "UNKNOWN_POLICY",
    "CatalogueRow",
    "CatalogueTranslation",
    "ContextReader",
    "Counts",
    "DecisionColumns",
    "DecisionRows",
    "DueColumns",
    "EventColumns",
    "EventReceipt",
    "EventRows",
    "FoldReport",
    "Lease",
    "OfferMap",
    "PolicyRow",
    "Snapshot",
    "SpooledWriter",
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
