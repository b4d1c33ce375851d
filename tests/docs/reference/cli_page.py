"""The page of the command line, from the typer application: every command with its help, options and example."""

import inspect
import re
import typing
from pathlib import Path

import typer

from bandit.cli.app import app

KINDS = {int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH"}

INTRODUCTION = """# Command line

`offer-bandit COMMAND --help` shows what stands here. `--json`, where a command has it, prints one JSON document instead
of tables. Exit code 0 is success, 2 is bad input (one sentence says what is wrong, what was seen, what to do), 1 is an
internal error; `--gate` adds the codes of the verdicts. `--debug` anywhere shows the traceback of an error.

| command | what it does |
|---|---|
"""


def escaped(text):
    """The text for Markdown: what stands in `code` stays, elsewhere what would be a mark is escaped."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([*<|])", r"\\\1", part) for part in parts)


def _paragraphs(text):
    """Each paragraph of a help as Markdown; one after a line of backspace keeps its lines, as a terminal shows it."""
    for part in inspect.cleandoc(text or "").split("\n\n"):
        if part.startswith("\b"):
            yield "```text\n" + part.removeprefix("\b").strip("\n") + "\n```"
        elif part.strip():
            yield escaped(" ".join(part.split()))


def _example(epilog):
    """The commands of an epilog as a block."""
    lines = [line.strip() for line in (epilog or "").replace("\b", "").splitlines()]
    commands = [line for line in lines if line.startswith("offer-bandit")]
    return "```sh\n" + "\n".join(commands) + "\n```" if commands else ""


def _value_words(parameter, callback):
    """What is written for a parameter's value, such as FILE or INTEGER; empty for a switch."""
    if parameter.metavar:
        return parameter.metavar
    hint = typing.get_type_hints(callback).get(parameter.name, str)
    kinds = [kind for kind in (typing.get_args(hint) or (hint,)) if kind is not type(None)]
    if typing.get_origin(hint) is typing.Literal:
        return "|".join(map(str, kinds))
    kind = kinds[0]
    if typing.get_origin(kind) is typing.Literal:
        return "|".join(map(str, typing.get_args(kind)))
    return "" if kind is bool else KINDS.get(kind, "TEXT")


def _is_argument(parameter):
    return not parameter.opts[0].startswith("-")


def _default_words(parameter, callback):
    default = inspect.signature(callback).parameters[parameter.name].default
    if default is inspect.Parameter.empty:
        return "**required**"
    if default is None or default is False or default in ((), [], ""):
        return ""
    if isinstance(default, (list, tuple)):
        return f"`{' '.join(map(str, default))}`"
    return f"`{default}`"


def _row(parameter, callback):
    words = _value_words(parameter, callback)
    if _is_argument(parameter):
        name = f"`{parameter.metavar or parameter.name.upper()}`"
    else:
        shown = ", ".join([*parameter.opts, *parameter.secondary_opts])
        name = f"`{shown}{' ' + words if words else ''}`"
    name = name.replace("|", "\\|")
    more = " Can be repeated." if parameter.multiple and "repeat" not in (parameter.help or "") else ""
    meaning = escaped(" ".join((parameter.help or "").split())) + more
    return f"| {name} | {meaning} | {_default_words(parameter, callback)} |\n"


def _panel(thing):
    """The panel of a help text in which a command or an option is listed; empty without one."""
    name = getattr(thing, "rich_help_panel", None)
    return name if isinstance(name, str) else ""


def _parameters(command):
    shown = [each for each in command.params if not getattr(each, "hidden", False) and each.name != "help"]
    if not shown:
        return ""
    panels = {}
    for each in sorted(shown, key=lambda each: not _is_argument(each)):
        panels.setdefault(_panel(each), []).append(_row(each, command.callback))
    rows = "".join((f"| **{name}** | | |\n" if name else "") + "".join(panels[name]) for name in panels)
    return f"| argument or option | meaning | default |\n|---|---|---|\n{rows}"


def _commands(group, path=""):
    """Yield (words, command) of each command that is not hidden, those of a group after it."""
    for name, command in group.commands.items():
        if getattr(command, "hidden", False):
            continue
        yield f"{path}{name}", command
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path}{name} ")


def _usage(words, command):
    arguments = [each.metavar or each.name.upper() for each in command.params if _is_argument(each)]
    tail = " COMMAND ..." if hasattr(command, "commands") else "".join(f" {each}" for each in arguments) + " [OPTIONS]"
    return f"`offer-bandit {words}{tail}`"


def _section(words, command):
    parts = [f"## {words}", _usage(words, command), *_paragraphs(command.help)]
    if not hasattr(command, "commands"):
        parts.append(_parameters(command).rstrip("\n"))
    parts.append(_example(command.epilog))
    return "\n\n".join(part for part in parts if part) + "\n"


def commands():
    """{words: command} of every command of the application, those of one panel together."""
    known = dict(_commands(typer.main.get_command(app)))
    panels = {words: _panel(known[words.split()[0]]) for words in known}
    order = list(dict.fromkeys(panels.values()))
    return {words: known[words] for words in sorted(known, key=lambda words: order.index(panels[words]))}


def cli_page():
    known = commands()
    rows = ""
    panel = ""
    for words, command in known.items():
        if _panel(command) and _panel(command) != panel:
            panel = _panel(command)
            rows += f"| **{panel}** | |\n"
        first = next(_paragraphs(command.help), "")
        rows += f"| [`{words}`](#{words.replace(' ', '-')}) | {first.split('. ')[0].rstrip('.')} |\n"
    return INTRODUCTION + rows + "\n" + "\n".join(_section(*each) for each in known.items())
