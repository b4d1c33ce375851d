"""The tree of errors; each message says what is wrong, what was seen, and what to do.

OfferBanditError
├── InputError                 the caller's input; exit code 2 on the command line
│   ├── CatalogueError         a catalogue, segment rules or mapping file that cannot be used
│   ├── ContextError           a context that does not fit what the catalogue declares
│   ├── OfferError             an unknown dimension or option, or a combination that is not legal
│   ├── NoEligibleOfferError   nothing is left for a customer and no fallback is declared
│   ├── NumberError            NaN, infinity, or a propensity outside (0, 1]
│   ├── DuplicateError         an id that is already there with different content
│   ├── UnknownDecisionError   an event for a decision that the log does not have
│   ├── LogFileError           a log file that cannot be imported
│   └── MissingExtraError      an optional dependency that is not installed
├── StoreError                 a database that cannot be opened, read or written; exit code 2
└── PolicyError                a policy that fails; inside the engine the fallback offer is served instead
"""

from __future__ import annotations

from bandit.printable import plain


class OfferBanditError(Exception):
    """Base class of all errors of this project; its message is kept short and printable."""

    def __init__(self, *seen: object) -> None:
        super().__init__(*(plain(each) if isinstance(each, str) else each for each in seen))


class InputError(OfferBanditError):
    """The caller's input cannot be used; nothing was written."""


class CatalogueError(InputError):
    """A catalogue, segment-rules or mapping file cannot be used."""


class ContextError(InputError):
    """A context does not fit what the catalogue declares."""


class OfferError(InputError):
    """An unknown dimension or option, or a combination that is not legal."""


class NoEligibleOfferError(InputError):
    """No offer is left for a customer and the catalogue declares no fallback."""


class NumberError(InputError):
    """A number that is NaN, infinite or outside its range."""


class DuplicateError(InputError):
    """An id that the log already has, with different content."""


class UnknownDecisionError(InputError):
    """An event names a decision that the log does not have."""


class LogFileError(InputError):
    """A log file that cannot be imported."""


class MissingExtraError(InputError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs the optional extra "{extra}": pip install "offer-bandit[{extra}]"')


class UndeclaredValueWarning(UserWarning):
    """A decision has a value of a categorical fact that the catalogue does not declare; said once a fact."""


class StoreError(OfferBanditError):
    """A database that cannot be opened, read or written."""


class PolicyError(OfferBanditError):
    """A policy that cannot answer or cannot be loaded."""
