"""Help texts: commands in groups and options in panels, wrapped at the width of the terminal, without loading rich."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

TARGET, EXPECTED, GROUPS = "Target and time", "What is expected", "Groups"
SERVING, WATCHING, LIMITS = "Address and processes", "Access and logs", "Limits"
LOG, POLICIES, ESTIMATION, OUTPUT = "Log", "Policies", "Estimation", "Output"
"""Panels of options, in the order in which they are shown; options of a command's own come before them."""

OTHER_OPTIONS = "Options"

HELP_WIDTH = 100
"""Most columns of a help text; a narrower terminal has as many as it is wide."""

CONTEXT_SETTINGS = {"max_content_width": HELP_WIDTH}

_ORDER = (
    "Arguments",
    OTHER_OPTIONS,
    TARGET,
    EXPECTED,
    SERVING,
    WATCHING,
    LIMITS,
    POLICIES,
    LOG,
    GROUPS,
    ESTIMATION,
    OUTPUT,
)

_WHOLE_SENTENCE = 1_000


class PanelCommand(TyperCommand):
    """A command whose help lists its options by panel, and which refuses an option that is given twice."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - of the click that typer brings
        """Parse the arguments; BadParameter for two values of an option that has one, of which one would be lost."""
        if not ctx.resilient_parsing:
            _, _, given = self.make_parser(ctx).parse_args(list(args))
            for parameter, n in Counter(given).items():
                if n > 1 and isinstance(parameter, TyperOption) and not (parameter.multiple or parameter.is_flag):
                    raise typer.BadParameter(
                        f"it is given {n} times, and this command takes one; give it once", ctx=ctx, param=parameter
                    )
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - of the click that typer brings
        """Write the arguments and the options, by panel."""
        panels: dict[str, list[tuple[str, str]]] = {name: [] for name in _ORDER}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            given = getattr(parameter, "rich_help_panel", None)
            plain = "Arguments" if parameter.param_type_name == "argument" else OTHER_OPTIONS
            if "--help" in getattr(parameter, "opts", ()):
                plain = OUTPUT
            panels.setdefault(given or plain, []).append(record)
        for name, records in panels.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


class PanelGroup(TyperGroup):
    """A group of commands whose help lists them by panel, each with its whole first sentence."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - of the click that typer brings
        """Write the commands, by panel, in the order in which they were declared."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is None or command.hidden:
                continue
            panel = getattr(command, "rich_help_panel", None)
            sentence = command.get_short_help_str(_WHOLE_SENTENCE)
            panels.setdefault(panel if isinstance(panel, str) else "Commands", []).append((name, sentence))
        widest = max((len(name) for records in panels.values() for name, _ in records), default=0)
        for panel, records in panels.items():
            with formatter.section(panel):
                formatter.write_dl([(name.ljust(widest), sentence) for name, sentence in records])
