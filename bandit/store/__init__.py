"""The store: decisions, events and the ledger of learning in one SQLite file, with a spool beside it for outages."""

from bandit.store.catalogue_translation import CatalogueTranslation, ContextDecoder, OfferMap
from bandit.store.chain.anchor import ChainAnchor
from bandit.store.chain.check import ChainReport
from bandit.store.database_file import file_size, wal_path
from bandit.store.decision_batches import whole_batches
from bandit.store.learning.due_outcomes import DueCriterion
from bandit.store.learning.ledger import state_hash
from bandit.store.learning.one_outcome import OneDue
from bandit.store.learning.records import DueColumns, PolicyStep, Snapshot
from bandit.store.log import StoreLog
from bandit.store.maintenance.activity import GroupSizes, LearningLag
from bandit.store.maintenance.delete_rows import DeletionTarget, StateReplacement
from bandit.store.records import (
    PLACEHOLDER,
    UNKNOWN_POLICY,
    Activation,
    CatalogueRow,
    DecisionColumns,
    DecisionRows,
    EventColumns,
    EventReceipt,
    EventRows,
    PolicyRow,
    StoreCounts,
    Where,
)
from bandit.store.spool.file import spools
from bandit.store.spool.recovery import FoldReport
from bandit.store.spool.refused import refused_lines
from bandit.store.spool.writer import SpooledWriter
from bandit.store.sqlite_errors import is_closed, is_outage
from bandit.store.store import Store
from bandit.store.tables.carried_policies import CarriedPolicyRow
from bandit.store.tables.decision_arms import ArmColumns, ArmRows
from bandit.store.tables.event_use import EventCounts, EventShape
from bandit.store.tables.leases import Lease, learning_lease
from bandit.store.tables.repeats import HeldDecisions, HoldRequest, RepeatRow, RepeatRows
from bandit.store.tables.rollout_changes import RolloutChangeRow
from bandit.store.tables.served_arms import ServedArms

__all__ = [
    "PLACEHOLDER",
    "UNKNOWN_POLICY",
    "Activation",
    "ArmColumns",
    "ArmRows",
    "CarriedPolicyRow",
    "CatalogueRow",
    "CatalogueTranslation",
    "ChainAnchor",
    "ChainReport",
    "ContextDecoder",
    "DecisionColumns",
    "DecisionRows",
    "DeletionTarget",
    "DueColumns",
    "DueCriterion",
    "EventColumns",
    "EventCounts",
    "EventReceipt",
    "EventRows",
    "EventShape",
    "FoldReport",
    "GroupSizes",
    "HeldDecisions",
    "HoldRequest",
    "LearningLag",
    "Lease",
    "OfferMap",
    "OneDue",
    "PolicyRow",
    "PolicyStep",
    "RepeatRow",
    "RepeatRows",
    "RolloutChangeRow",
    "ServedArms",
    "Snapshot",
    "SpooledWriter",
    "StateReplacement",
    "Store",
    "StoreCounts",
    "StoreLog",
    "Where",
    "file_size",
    "is_closed",
    "is_outage",
    "learning_lease",
    "refused_lines",
    "spools",
    "state_hash",
    "wal_path",
    "whole_batches",
]
