"""The table of an ablation: means over worlds, and paired differences with their standard errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from bandit.domain import FloatArray
from simulator.bench.earnings.ablation import ABLATION_WINDOWS, AblationArm, ArmResult, settings_text
from simulator.bench.earnings.summary import Mean


@dataclass(frozen=True, slots=True)
class AblationRow:
    """One arm in one scenario: mean and paired difference to `against` in each window, and seconds a run."""

    scenario: str
    arm: str
    against: str
    worlds: int
    runs: int
    values: Mapping[str, Mean]
    differences: Mapping[str, Mean]
    seconds: float

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return asdict(self)


def ablation_rows(results: Sequence[ArmResult], arms: Sequence[AblationArm]) -> tuple[AblationRow, ...]:
    """Return a row for each scenario and arm of which every world has all its runs."""
    rows = []
    for scenario in dict.fromkeys(result.scenario for result in results):
        mine = [result for result in results if result.scenario == scenario]
        by_arm = {arm.name: [each for each in mine if each.settings == settings_text(arm)] for arm in arms}
        for arm in arms:
            if not by_arm[arm.name]:
                continue
            own = {window: _by_world(by_arm[arm.name], window) for window in ABLATION_WINDOWS}
            base = {window: _by_world(by_arm.get(arm.against, []), window) for window in ABLATION_WINDOWS}
            rows.append(
                AblationRow(
                    scenario,
                    arm.name,
                    arm.against,
                    len(own["all"]),
                    len(by_arm[arm.name]) // len(own["all"]),
                    {window: Mean.of(own[window].tolist()) for window in ABLATION_WINDOWS},
                    {
                        window: Mean.of((own[window] - base[window]).tolist())
                        for window in ABLATION_WINDOWS
                        if len(own[window]) == len(base[window])
                    },
                    float(np.mean([each.seconds for each in by_arm[arm.name]])),
                )
            )
    return tuple(rows)


def _by_world(results: Sequence[ArmResult], window: str) -> FloatArray:
    """Return the mean over runs of each world, in the order of the worlds."""
    worlds = sorted({result.draw for result in results})
    return np.array([np.mean([getattr(each, window) for each in results if each.draw == draw]) for draw in worlds])


def ablation_markdown(rows: Sequence[AblationRow], text: str) -> str:
    """Return the result as Markdown, a table for each scenario; differences beyond two standard errors are bold."""
    parts = [f"# What each method gives\n\n{text}\n"]
    for scenario in dict.fromkeys(row.scenario for row in rows):
        mine = [row for row in rows if row.scenario == scenario]
        parts.append(f"## {scenario}\n")
        parts.append("| arm | all | difference | last quarter | difference | first 2,000 | difference | against | s |")
        parts.append("|---|---:|---:|---:|---:|---:|---:|---|---:|")
        for row in mine:
            cells = [row.arm]
            for window in ABLATION_WINDOWS:
                cells += [row.values[window].text(3), _difference(row.differences.get(window))]
            parts.append("| " + " | ".join([*cells, row.against, f"{row.seconds:.1f}"]) + " |")
        parts.append("")
    return "\n".join(parts)


def _difference(found: Mean | None) -> str:
    if found is None:
        return ""
    error = f" ± {found.error:.3f}" if np.isfinite(found.error) else ""
    mark = "**" if np.isfinite(found.error) and abs(found.value) > 2.0 * found.error else ""
    return f"{mark}{found.value:+.3f}{mark}{error}"
