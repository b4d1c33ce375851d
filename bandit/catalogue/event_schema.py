"""The [events] of a catalogue, validated against what the catalogue says elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.catalogue.events import CLOSING_EVENT
from bandit.errors import CatalogueError

if TYPE_CHECKING:
    from bandit.catalogue.file_tables import CatalogueFile, ObjectiveFile

MAX_STAGES = 8
"""Most stages before the conversion."""


def check_events(file: CatalogueFile) -> None:
    """Raise CatalogueError for a part that an event cannot have beside the objective, guardrails and [sticky]."""
    objective = file.objective
    watched = {guardrail.event for guardrail in file.guardrails}
    watched |= set() if file.sticky is None else set(file.sticky.until)
    for name, part in file.events.items():
        if not name.strip():
            raise CatalogueError("[events] has an event with an empty name; give it one")
        if name == CLOSING_EVENT:
            raise CatalogueError(f'[events] has "{CLOSING_EVENT}", which is known by itself; leave it out')
        if part == "converts" and name != objective.event:
            raise CatalogueError(
                f'[events] "{name}" is declared as "converts", and the event that converts is "{objective.event}": '
                f'write event = "{name}" under [objective], or declare it as "feedback"'
            )
        if part != "converts" and name == objective.event:
            raise CatalogueError(
                f'[events] "{name}" is declared as "{part}", and it is the event of the [objective]: declare it as '
                '"converts", or name another event there'
            )
        if part == "shown" and name != objective.activation:
            raise CatalogueError(
                f'[events] "{name}" is declared as "shown", and decisions are activated by '
                f'{_activation(objective.activation)}: write activation = "{name}" under [objective], or declare it '
                'as "ignored"'
            )
        if part != "shown" and name == objective.activation:
            raise CatalogueError(
                f'[events] "{name}" is declared as "{part}", and it is the activation of the [objective]: declare it '
                'as "shown"'
            )
        if name in objective.stages and part != "feedback":
            raise CatalogueError(
                f'[events] "{name}" is declared as "{part}", and it is a stage of the [objective]: declare it as '
                '"feedback", or leave it out of [events]'
            )
        if part == "ignored" and name in watched:
            raise CatalogueError(
                f'[events] "{name}" is declared as "ignored", and a guardrail or [sticky] looks at it: declare it as '
                '"feedback"'
            )


def check_stages(objective: ObjectiveFile) -> None:
    """Raise CatalogueError for stages that cannot come before the objective's event."""
    if not objective.stages:
        return
    if objective.kind == "reward":
        raise CatalogueError(
            '[objective] stages lead to a conversion, and kind = "reward" has none; leave stages out, or choose the '
            'kind "conversion", "revenue" or "profit"'
        )
    if len(objective.stages) > MAX_STAGES:
        raise CatalogueError(f"[objective] has {len(objective.stages)} stages; at most {MAX_STAGES} are learned from")
    for name in objective.stages:
        if not name.strip():
            raise CatalogueError("[objective] stages has an empty text; give the name of an event")
        if objective.stages.count(name) > 1:
            raise CatalogueError(f'[objective] stages has "{name}" twice; name each event once, in their order')
        if name in {objective.event, objective.activation, CLOSING_EVENT}:
            what = {objective.event: "the conversion itself", CLOSING_EVENT: "known by itself"}
            raise CatalogueError(
                f'[objective] stages has "{name}", which is {what.get(name, "the activation")}; name events that come '
                "between the decision and the conversion"
            )


def _activation(event: str | None) -> str:
    return "no event" if event is None else f'"{event}"'
