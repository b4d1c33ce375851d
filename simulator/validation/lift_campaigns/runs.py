"""Running campaigns in one or more processes; each result is appended to a file of JSON lines at once."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

from bandit.errors import InputError
from simulator.validation.lift_campaigns.campaign import run_campaign
from simulator.validation.lift_campaigns.looks import CampaignRecord, record_campaign
from simulator.validation.lift_campaigns.setting import CampaignSetting

if TYPE_CHECKING:
    from pathlib import Path

CampaignTask = tuple[CampaignSetting, int]
"""A campaign to run: its setting and its number."""

CampaignProgress = Callable[[CampaignTask, int, int], None]
"""Called with each campaign that is done, how many are done and how many there are."""


def run_campaigns(
    settings: Sequence[CampaignSetting],
    campaigns: int,
    file: Path | None = None,
    processes: int = 1,
    report: CampaignProgress | None = None,
) -> dict[CampaignSetting, list[CampaignRecord]]:
    """Run campaigns 0 to `campaigns` - 1 of every setting and return their records, in order of number.

    Settings take turns, so that a run that is stopped has equally many of each. Campaigns of the same settings that
    `file` has already are read from it, and new ones are appended. Raises InputError for numbers below 1 and for a file
    that cannot be read or written.
    """
    if campaigns < 1 or processes < 1:
        raise InputError(f"seen {campaigns} campaigns and {processes} processes; give at least 1 of each")
    tasks = [(setting, number) for number in range(campaigns) for setting in settings]
    wanted = set(tasks)
    kept = {} if file is None else saved(file)
    found = {task: record for task, record in kept.items() if task in wanted}
    if file is not None:
        _begin(file)
    for task, record in _run_all([task for task in tasks if task not in found], processes):
        found[task] = record
        if file is not None:
            _append(file, task[0], record)
        if report is not None:
            report(task, len(found), len(tasks))
    return {setting: [found[setting, number] for number in range(campaigns)] for setting in settings}


def saved(file: Path) -> dict[CampaignTask, CampaignRecord]:
    """Return the campaigns of a file, none where there is no file; a last line that is cut off is left out."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n") if file.exists() else []
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"{file} cannot be read ({fault}); name another file") from fault
    found = {}
    for number, line in enumerate(lines[:-1], start=1):
        try:
            plain: dict[str, Any] = json.loads(line)
            record = CampaignRecord.from_dict(plain["record"])
            found[CampaignSetting(**plain["setting"]), record.number] = record
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            raise InputError(f"{file}, line {number}: is no campaign ({fault}); remove the line") from fault
    return found


def _append(file: Path, setting: CampaignSetting, record: CampaignRecord) -> None:
    line = json.dumps({"setting": setting.to_dict(), "record": record.to_dict()}, separators=(",", ":")) + "\n"
    try:
        with file.open("ab") as out:
            out.write(line.encode())
    except OSError as fault:
        raise InputError(f"{file} cannot be written ({fault.strerror}); name another file") from fault


def _begin(file: Path) -> None:
    """Make the folder, and cut off an incomplete last line, which would spoil the next one."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        content = file.read_bytes() if file.exists() else b""
        if content and not content.endswith(b"\n"):
            file.write_bytes(content[: content.rfind(b"\n") + 1])
    except OSError as fault:
        raise InputError(f"{file} cannot be written ({fault.strerror}); name another file") from fault


def _run_all(tasks: Sequence[CampaignTask], processes: int) -> Iterator[tuple[CampaignTask, CampaignRecord]]:
    if processes == 1:
        for task in tasks:
            yield task, _one(task)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(_one, task): task for task in tasks}
        for done in as_completed(waiting):
            yield waiting[done], done.result()


def _one(task: CampaignTask) -> CampaignRecord:
    setting, number = task
    return record_campaign(run_campaign(setting, number), number, setting.policy_share, setting.days)
