"""The words by which columns and their values are recognised."""

from __future__ import annotations

import re


def word_list(text: str) -> tuple[str, ...]:
    """Return the words of a text."""
    return tuple(text.split())


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text without order."""
    return frozenset(text.split())


OUTCOME_WORDS: tuple[frozenset[str], ...] = (
    word_set(
        "converted conversion conversions purchase purchased purchases bought buy order ordered sale sold gave donated "
        "subscribed signup booked booking success kauf gekauft bestellt"
    ),
    word_set("response responded outcome target label y result reward"),
    word_set("click clicked clicks visit visited visits"),
)
"""Names of columns that say whether something came of an offer, the most wanted kind first."""

REVENUE_WORDS = word_list(
    "revenue sales spend spent amount turnover umsatz betrag gmv basket value total net paid price"
)
"""Names of columns with money that came of an offer, the most telling first."""

AFTERWARDS = word_set(
    "viewed opened opens clicked clicks visited visit visits exposure exposed redeemed redemption completed returned "
    "refund refunded cancelled delivered seen activated profit commission"
)
"""Names of columns that are filled after the offer was made."""

PAST = word_set(
    "prev previous last past prior before history historical ago since lifetime avg average mean months days years "
    "ever usual usually first"
)
"""Names of columns about the time before the offer."""

STRONG_OFFER_WORDS = word_set(
    "offer offers action treatment treated variant arm incentive promotion promo coupon voucher discount creative "
    "experiment rabatt angebot gutschein"
)
"""Names that only columns with what was offered have."""

WEAK_OFFER_WORDS = word_set(
    "segment channel gift message template subject banner ask match email campaign group kanal extra"
)
"""Names that columns with what was offered may have."""

NOT_OFFERED = word_set(
    "preferred preference favorite favourite acquisition source origin registration prev previous last past prior "
    "history historical"
)
"""Names of columns about the customer, whatever else their name and their values say."""

CONTACT_VALUES = word_set("email e-mail mail sms push letter app call whatsapp flyer print")
INCENTIVE_VALUES = word_set("% off free bogo discount coupon gift voucher tote sample shipping")

CUSTOMER_WORDS = word_set(
    "customer cust user person client member household visitor account subscriber donor patient shopper uid kunde "
    "kunden kundennummer kundennr"
)
ID_WORDS = word_set("id ids key no nr number num hash code uuid index nummer")
DECISION_WORDS = word_set("decision event impression request row session message send line order")

PROPENSITY_WORDS = word_set("propensity pscore probability prob")

TIME_WORDS = word_set(
    "time timestamp date day datetime sent decided at created when ts datum zeit zeitpunkt assigned shown"
)
NOT_THE_TIME = word_set("birth born dob signup registered joined last previous first since expiry expires")

EVENT_VALUES = word_set(
    "shown impression impressions view viewed click clicked purchase purchased return returned refund order sent open "
    "opened delivered conversion cart add_to_cart exposure redeem redeemed bounce unsubscribe"
)
"""Values of a column that says what happened, in a file with one row an event."""

YES = word_set("yes y true t 1 ja j bought converted purchased sold success won responded oui si")

_NONE = re.compile(
    r"(none|no|control|nothing|kein|keine|holdout|without|baseline|placebo|null|no[_ -]?offer)\b", re.IGNORECASE
)
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-zß-ÿ]+|\d+", re.UNICODE)


def words(name: str) -> tuple[str, ...]:
    """Return the words of a column's name in lower case.

    >>> words("monthsSince_Purchase")
    ('months', 'since', 'purchase')
    """
    return tuple(part.lower() for part in _PARTS.findall(name))


def says_no_offer(option: str) -> bool:
    """Return whether an option is the one without an offer, such as "No E-Mail" or "control"."""
    return _NONE.match(option.strip().replace("_", " ")) is not None


def share_with(options: tuple[str, ...], vocabulary: frozenset[str]) -> float:
    """Return the share of options that have one of these words."""
    known = [bool(vocabulary & set(re.findall(r"[\w-]+|%", option.lower().replace("_", " ")))) for option in options]
    return sum(known) / max(len(known), 1)
