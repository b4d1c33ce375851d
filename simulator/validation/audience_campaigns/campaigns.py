"""Running campaigns of known truth and counting what is announced, and whether the intervals have the truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from bandit.errors import InputError
from bandit.evaluate.audience import ANNOUNCED_LEVEL, audience
from simulator.validation.audience_campaigns.world import NULL_WORLDS, PLANTED, draw_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bandit.evaluate.audience import Audience, AudienceFinding
    from simulator.validation.audience_campaigns.world import AudienceWorld

_OPTIONS = ("none", "mens", "womens")


@dataclass(frozen=True, slots=True)
class AudienceSetting:
    """The sizes of a campaign: its decisions, and the share of them that get a random option.

    Raises InputError for fewer than 100 decisions, a share that is not between 0 and 1 and a negative seed.
    """

    decisions: int = 40_000
    explored: float = 0.5
    level: float = ANNOUNCED_LEVEL
    seed: int = 1

    def __post_init__(self) -> None:
        if self.decisions < 100:
            raise InputError(f"seen {self.decisions} decisions; give at least 100")
        if not 0.0 < self.explored <= 1.0:
            raise InputError(f"the explored share is {self.explored}; give a share above 0 and at most 1")
        if self.seed < 0:
            raise InputError(f"the seed is {self.seed}; give a number from 0")


@dataclass(frozen=True, slots=True)
class AudienceCampaign:
    """What was announced in one campaign.

    `found` says that "mens to women" was announced; `true` and `false` count the announced surprises that earn
    something in truth and those that do not. `share_covered` and `gain_covered` say whether the intervals of the row
    "mens, women" have the truth, `covered` whether those of all rows to be confirmed have it, of those whose truth is
    known: without age; these three are None where there is no such row.
    """

    world: str
    number: int
    found: bool
    true: int
    false: int
    share: float | None
    share_covered: bool | None
    gain_covered: bool | None
    covered: bool | None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class AudienceCounts:
    """The campaigns of one world counted: those with a surprise, with a false one, with "mens to women" found.

    Each `..._covered` counts among the `..._of` campaigns that have such rows.
    """

    world: str
    campaigns: int
    announced: int
    wrong: int
    found: int
    share_covered: int
    gain_covered: int
    row_of: int
    covered: int
    covered_of: int

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


def run_campaigns(
    setting: AudienceSetting,
    planted: int,
    null: int,
    report: Callable[[AudienceCampaign], None] | None = None,
) -> list[AudienceCampaign]:
    """Run planted campaigns, then null ones, of the null worlds by turns; each campaign has its own generator."""
    if planted < 0 or null < 0:
        raise InputError(f"seen {planted} and {null} campaigns; give numbers from 0")
    found = []
    for world, number in _tasks(planted, null):
        campaign = play(setting, world, number)
        found.append(campaign)
        if report is not None:
            report(campaign)
    return found


def play(setting: AudienceSetting, world: AudienceWorld, number: int) -> AudienceCampaign:
    """Draw one campaign and search it for surprises."""
    kind = (PLANTED, *NULL_WORLDS).index(world)
    rng = np.random.default_rng([setting.seed, kind, number])
    log = draw_log(world, setting.decisions, setting.explored, rng)
    return judged(world, number, audience(log, world.rules(), level=setting.level))


def judged(world: AudienceWorld, number: int, result: Audience) -> AudienceCampaign:
    """Compare what was announced with the truth."""
    women = next((row for row in result.rows if (row.option, row.segment) == ("mens", "gender f")), None)
    confirmed = [row for row in result.rows if row.confirmed and _truths(world, row) is not None]
    worth = [_earns(world, row) for row in result.surprises]
    both = None if women is None else _covers(world, women)
    return AudienceCampaign(
        world=world.name,
        number=number,
        found=women is not None and women.verdict == "surprise",
        true=sum(worth),
        false=len(worth) - sum(worth),
        share=None if women is None else women.share.value,
        share_covered=None if both is None else both[0],
        gain_covered=None if both is None else both[1],
        covered=all(all(_covers(world, row) or ()) for row in confirmed) if confirmed else None,
    )


def counted(found: list[AudienceCampaign]) -> list[AudienceCounts]:
    """Return the counts of each world, in the order of their first campaign."""
    counts = []
    for name in dict.fromkeys(each.world for each in found):
        own = [each for each in found if each.world == name]
        counts.append(
            AudienceCounts(
                world=name,
                campaigns=len(own),
                announced=sum(each.true + each.false > 0 for each in own),
                wrong=sum(each.false > 0 for each in own),
                found=sum(each.found for each in own),
                share_covered=sum(bool(each.share_covered) for each in own),
                gain_covered=sum(bool(each.gain_covered) for each in own),
                row_of=sum(each.share_covered is not None for each in own),
                covered=sum(bool(each.covered) for each in own),
                covered_of=sum(each.covered is not None for each in own),
            )
        )
    return counts


def _tasks(planted: int, null: int) -> Iterator[tuple[AudienceWorld, int]]:
    for number in range(planted):
        yield PLANTED, number
    for number in range(null):
        yield NULL_WORLDS[number % len(NULL_WORLDS)], number // len(NULL_WORLDS)


def _truths(world: AudienceWorld, row: AudienceFinding) -> tuple[float, float] | None:
    option = _OPTIONS.index(row.option)
    share, gain = world.share(option, row.segment), world.gain(option, row.segment)
    return None if share is None or gain is None else (share, gain)


def _covers(world: AudienceWorld, row: AudienceFinding) -> tuple[bool, bool] | None:
    """Return whether the intervals of share and gain have the truth; None where it is not known."""
    truths = _truths(world, row)
    if truths is None:
        return None
    share, gain = truths
    return row.share.low <= share <= row.share.high, row.gain.low <= gain <= row.gain.high


def _earns(world: AudienceWorld, row: AudienceFinding) -> bool:
    """Return whether giving the option to a segment earns something; age changes the size of a gain, not its sign."""
    parts = [part for part in row.segment.split(", ") if not part.startswith("age ")]
    gain = world.gain(_OPTIONS.index(row.option), ", ".join(parts))
    return gain is not None and gain > 1e-9
