"""What is said of the importance of facts and options."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from bandit.explain.records import CredibleNumber
from bandit.tabular import Cell, Tabular


@dataclass(frozen=True, slots=True)
class FactImportance:
    """How much a fact matters over a log.

    `worth` is what is lost per decision, in expected reward, by a policy that does not see the fact. `choice` is its
    share of the variation between customers in how much better or worse an offer is than the others, and `variation`
    its share of the variation in the reward that is expected whatever the offer; the shares of all facts sum to 1, and
    one may be below 0, where a fact offsets another. `effect` is the mean absolute contribution to an offer's expected
    reward.
    """

    fact: str
    worth: CredibleNumber
    choice: float
    variation: float
    effect: float


@dataclass(frozen=True, slots=True)
class OptionImportance:
    """How much an option matters over a log.

    `best_share` is the share of customers whose best offer has it. `worth` is what is lost per decision, in expected
    reward, if no offer may have it, over the customers who have an eligible offer without it; None where nobody has.
    """

    dimension: str
    option: str
    best_share: float
    worth: CredibleNumber | None
    needed_share: float


@dataclass(frozen=True, slots=True)
class ImportanceReport(Tabular):
    """Which facts and options matter over a log, by the learned model, what is worth most first.

    `n` contexts of the `n_log` decisions were used, and `n_offers` of the catalogue's offers compared. `policy` is the
    name of the policy whose model it is, `n_learned` how often that learned an outcome or a part of one. `value` is the
    expected reward per decision of the best offer for each customer, `all_facts` what it earns beyond the one best
    offer for everybody. Intervals are central credible intervals of the model's posterior at `level`. `notes` say what
    was left out.
    """

    objective: str
    event: str
    unit: str
    policy: str
    n_learned: int
    n: int
    n_log: int
    n_offers: int
    level: float
    value: CredibleNumber
    all_facts: CredibleNumber
    facts: tuple[FactImportance, ...]
    options: tuple[OptionImportance, ...]
    notes: tuple[str, ...] = ()

    def to_rows(self) -> list[dict[str, Cell]]:
        """Return one row a fact, then one an option; what does not apply is None."""
        rows: list[dict[str, Cell]] = [
            {
                "kind": "fact",
                "name": each.fact,
                "option": None,
                **_cells(each.worth),
                "choice": each.choice,
                "variation": each.variation,
                "effect": each.effect,
                "best_share": None,
            }
            for each in self.facts
        ]
        rows += [
            {
                "kind": "option",
                "name": each.dimension,
                "option": each.option,
                **_cells(each.worth),
                "choice": None,
                "variation": None,
                "effect": None,
                "best_share": each.best_share,
            }
            for each in self.options
        ]
        return rows

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


def _cells(number: CredibleNumber | None) -> dict[str, Cell]:
    if number is None:
        return {"worth": None, "worth_low": None, "worth_high": None}
    return {"worth": number.value, "worth_low": number.low, "worth_high": number.high}
