"""Options shared by evaluate and learn-offline: their declarations, their record, and how they are parsed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias, cast

import typer

from bandit.cli.choices import INTERVAL_KINDS, REWARD_MODEL_NAMES
from bandit.cli.help import ESTIMATION, OUTPUT, POLICIES
from bandit.errors import InputError

if TYPE_CHECKING:
    from bandit.encoding.encoder import Encoder
    from bandit.evaluate import Propensities, RewardModel
    from bandit.evaluate.diagnostics import SampleRatioTest
    from bandit.ope import IntervalKind
    from bandit.store import Store


Baseline: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="POLICY",
        help='A policy to compare with, or "logged" for the policy that wrote the log.',
        rich_help_panel=POLICIES,
    ),
]

Intervals: TypeAlias = Annotated[
    str,
    typer.Option(
        "--interval",
        metavar="KIND",
        help=f"The kind of confidence interval: {', '.join(INTERVAL_KINDS)}.",
        rich_help_panel=ESTIMATION,
    ),
]

RewardModels: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"The reward model of dm, dr and related estimators: {', '.join(REWARD_MODEL_NAMES)}.",
        rich_help_panel=ESTIMATION,
    ),
]

PropensitySource: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE",
        help='"logged", or "estimated" from the log; default: logged if they are known.',
        rich_help_panel=ESTIMATION,
    ),
]

Gate: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--gate",
        help="Exit with the verdict: 0 better, 3 worse, 4 no difference found, 5 cannot tell.",
        rich_help_panel=OUTPUT,
    ),
]


@dataclass(frozen=True, slots=True)
class EstimationOptions:
    """How values and their confidence intervals are estimated, as given on the command line."""

    interval: str
    reward_model: str
    propensities: str | None
    level: float
    seed: int

    def interval_kind(self) -> IntervalKind:
        """Return the kind of interval; InputError for an unknown name."""
        return cast("IntervalKind", one_of(self.interval, INTERVAL_KINDS, "kind of interval"))

    def propensity_source(self) -> Propensities | None:
        """Return where propensities come from; `evaluate` checks the name."""
        return None if self.propensities is None else cast("Propensities", self.propensities)


def reward_model_named(name: str) -> Callable[[Encoder], RewardModel]:
    """Return what builds the reward model of a name; InputError for an unknown name."""
    from bandit.evaluate import RidgeReward
    from bandit.evaluate.rewards.vw import VwReward

    one_of(name, REWARD_MODEL_NAMES, "reward model")
    return VwReward if name == "vw" else RidgeReward


def require_gate(gate: bool, baseline: str | None) -> None:
    """Raise InputError for a gate without a baseline."""
    if gate and baseline is None:
        raise InputError("--gate needs a --baseline to compare with; give today's rules, or logged")


def one_of(given: str, allowed: Sequence[str], what: str) -> str:
    """Return the value; InputError if it is not allowed."""
    if given not in allowed:
        raise InputError(f'there is no {what} "{given}"; choose from {", ".join(allowed)}')
    return given


def check_groups(store: Store | None, text: str, policy_id: int | None) -> SampleRatioTest:
    """Test whether the sizes of the groups match their planned shares; InputError for text that cannot be read."""
    from bandit.evaluate.diagnostics import sample_ratio
    from bandit.store import Where

    shares = parse_shares(text)
    if store is None:
        raise InputError("--groups needs a database, which has every customer's group; import the file first")
    counts, several = store.decisions.customers_by_group(Where(policy_id=policy_id))
    return sample_ratio(counts, shares, several)


def parse_shares(text: str) -> dict[str, float]:
    """Return the share of each group from text such as "policy=0.9,control=0.1"; InputError if it cannot be read."""
    pairs = [part.partition("=") for part in split_names(text)]
    try:
        return {name.strip(): float(share) for name, _, share in pairs}
    except ValueError:
        raise InputError(f'the shares "{text}" cannot be read; write GROUP=SHARE,GROUP=SHARE') from None


def split_names(text: str) -> tuple[str, ...]:
    """Return names that are separated by commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def every_estimator(dimensions: bool, logging: bool) -> tuple[str, ...]:
    """Return the names of all estimators that can be used: mips needs dimensions, pi the logging policy."""
    from bandit.ope import ESTIMATORS

    met = {None, "predictions", "robust"} | ({"slate"} if logging else set()) | ({"marginal"} if dimensions else set())
    return tuple(name for name, each in ESTIMATORS.items() if each.needs in met)
