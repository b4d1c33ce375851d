"""The [events] of a catalogue, validated against what the catalogue says elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bandit.catalogue.events import CLOSING_EVENT
from bandit.errors import CatalogueError

if TYPE_CHECKING:
    from bandit.catalogue.file_tables import CatalogueFile


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
        if part == "ignored" and name in watched:
            raise CatalogueError(
                f'[events] "{name}" is declared as "ignored", and a guardrail or [sticky] looks at it: declare it as '
                '"feedback"'
            )


def _activation(event: str | None) -> str:
    return "no event" if event is None else f'"{event}"'
