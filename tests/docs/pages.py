"""Pages that are executed: their blocks run in a temporary directory, and what they print is what the page shows.

A page is plain Markdown. These fenced blocks are run, in order, in one directory and one namespace:

- `python`: what it prints is compared with the `text` block that follows it directly; without one it only has to run.
- `console`: each line that begins with `$ ` is a command (a line that ends with a backslash goes on), and the lines up
  to the next one are what it prints. `offer-bandit` runs in this process; `cat`, `head -N`, `ls`, `cd`,
  `export NAME=VALUE`, `python FILE` and `echo $?` are the only other commands. A command that fails has to be followed
  by `echo $?`.

In what a page shows, a line of only `...` stands for any number of lines, and `...` within a line for any characters;
the last digit of a number with a decimal point may differ by one.

An HTML comment on the line before a block says what to do with it:

- `<!-- file: NAME -->`: the block is written to that file of the directory (any language).
- `<!-- not run: REASON -->`: the block is left alone.
"""

import contextlib
import io
import os
import re
import runpy
import shlex
import sys
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from bandit.cli import main

WIDTH = 100
"""Columns of the terminal on which a page's commands print."""

_FENCE = re.compile(r"```(\S*)\s*$")
_DECIMAL = re.compile(r"-?(?<![\d.])[\d,]+\.\d+(?![\d.])")
_COMMENT = re.compile(r"<!-- (file|not run): (.+?) -->\s*$")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its lines, the number of its first line in the page, and the comment before it."""

    language: str
    lines: list
    first: int
    comment: tuple = ("", "")

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"

    @property
    def end(self):
        """The number of the line after the block's content: the closing fence."""
        return self.first + len(self.lines)


@dataclass(frozen=True)
class Step:
    """Something that was run: what it is, the lines of the page that show its output, and what it printed."""

    what: str
    first: int
    shown: list
    printed: list

    @property
    def as_shown(self):
        return matches(self.shown, self.printed)


@dataclass(frozen=True)
class Setting:
    """What a page needs before it is run: variables of the environment, and a function that fills a folder."""

    environment: dict = field(default_factory=dict)
    prepare: object = None


def blocks(text):
    """The fenced blocks of a page that begin at the left margin."""
    lines, found, place = text.splitlines(), [], 0
    while place < len(lines):
        opened = _FENCE.match(lines[place])
        if opened is None:
            place += 1
            continue
        end = next(at for at in range(place + 1, len(lines)) if lines[at].rstrip() == "```")
        comment = _COMMENT.match(lines[place - 1]) if place else None
        found.append(Block(opened[1], lines[place + 1 : end], place + 1, comment.groups() if comment else ("", "")))
        place = end + 1
    return found


def matches(shown, printed):
    """Whether lines are those that are shown; spaces at their ends do not count.

    `...` stands for what is left out, and a number with a decimal point may differ by one in its last digit, since
    processors round differently.
    """
    numbers, parts = [], []

    def literal(text):
        numbers.extend(found[0] for found in _DECIMAL.finditer(text))
        return r"(-?[\d,]+\.\d+)".join(map(re.escape, _DECIMAL.split(text)))

    for line in shown:
        if line.strip() == "...":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(r"[^\n]*?".join(map(literal, line.rstrip().split("..."))) + r"\n")
    found = re.fullmatch("".join(parts), "".join(line.rstrip() + "\n" for line in printed))
    return found is not None and all(map(_nearly, numbers, found.groups()))


def _nearly(shown, printed):
    digits = len(shown.rpartition(".")[2])
    one, other = (float(number.replace(",", "")) for number in (shown, printed))
    return len(printed.rpartition(".")[2]) == digits and abs(one - other) < 1.5 * 10.0**-digits


def commands(block):
    """Yield (command, number of the first line that shows its output, those lines) of a console block."""
    starts = [at for at, line in enumerate(block.lines) if line.startswith("$ ")]
    for start, after in zip(starts, [*starts[1:], len(block.lines)], strict=True):
        end = start
        while block.lines[end].endswith("\\"):
            end += 1
        words = [line.removesuffix("\\").strip() for line in block.lines[start : end + 1]]
        shown = block.lines[end + 1 : after]
        while shown and not shown[-1].strip():
            shown = shown[:-1]
        yield " ".join(words).removeprefix("$ "), block.first + end + 1, shown


class Shell:
    """Runs the commands of console blocks: the command line in this process, and a few of a shell's."""

    def __init__(self):
        self.code = 0

    def run(self, command):
        """Run one command, which prints on sys.stdout and sys.stderr; AssertionError for one that is not known."""
        if command.strip() == "echo $?":
            sys.stdout.write(f"{self.code}\n")
            self.code = 0
            return
        assert self.code == 0, f"the command before `{command}` failed with exit code {self.code}"
        name, *arguments = shlex.split(command)
        match name, arguments:
            case "offer-bandit", [*words, ">>", file]:
                with Path(file).open("a", encoding="utf-8") as kept, contextlib.redirect_stdout(kept):
                    self.code = main(words)
            case "offer-bandit", _:
                self.code = main(arguments)
            case "cat", [file]:
                sys.stdout.write(Path(file).read_text(encoding="utf-8"))
            case "head", [count, file]:
                lines = Path(file).read_text(encoding="utf-8").splitlines(keepends=True)
                sys.stdout.writelines(lines[: -int(count)])
            case "ls", []:
                sys.stdout.writelines(sorted(f"{path.name}\n" for path in Path().iterdir()))
            case "cd", [folder]:
                os.chdir(folder)
            case "export", [assignment]:
                variable, _, value = assignment.partition("=")
                os.environ[variable] = value
            case "python", [file]:
                with mock.patch.object(sys, "path", [str(Path(file).parent.resolve()), *sys.path]):
                    runpy.run_path(file, run_name="__main__")
            case _:
                raise AssertionError(f"`{command}` is none of the commands that a page can run")


def _captured(act, *arguments):
    """What a call prints on both streams, as lines."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), warnings.catch_warnings():
        act(*arguments)
    return out.getvalue().splitlines()


def run_page(text, name, directory, setting=None):
    """Run the blocks of a page in a directory, and return the steps; an error of a python block is raised."""
    setting = setting or Setting()
    steps, names, shell = [], {"__name__": "__main__"}, Shell()
    environment = {"COLUMNS": str(WIDTH), "TZ": "UTC", **setting.environment}
    parts = blocks(text)
    with contextlib.chdir(directory), mock.patch.dict(os.environ, environment):
        if "OFFER_BANDIT_KEY" not in setting.environment:
            os.environ.pop("OFFER_BANDIT_KEY", None)
        if setting.prepare is not None:
            setting.prepare(Path(directory))
        for block, after in zip(parts, [*parts[1:], None], strict=True):
            kind, value = block.comment
            if kind == "file":
                Path(value).write_text(block.text, encoding="utf-8")
            elif kind == "not run":
                continue
            elif block.language == "python":
                code = compile("\n" * block.first + block.text, name, "exec")
                printed = _captured(exec, code, names)
                lines = text.splitlines()
                if after and after.language == "text" and not "".join(lines[block.end + 1 : after.first - 1]).strip():
                    steps.append(Step(f"line {block.first + 1}", after.first, after.lines, printed))
            elif block.language == "console":
                for command, first, shown in commands(block):
                    steps.append(Step(f"$ {command}", first, shown, _captured(shell.run, command)))
        assert shell.code == 0, f"the last command failed with exit code {shell.code}"
    return steps


def with_output(text, steps):
    """The page with what the steps printed, where it is not what the page shows."""
    lines = text.splitlines()
    for step in sorted(steps, key=lambda step: -step.first):
        if not step.as_shown:
            lines[step.first : step.first + len(step.shown)] = map(str.rstrip, step.printed)
    return "\n".join(lines) + "\n"


def rewritten(text, name, setting=None):
    """The page with its output as it is now, run in a temporary directory."""
    with tempfile.TemporaryDirectory() as directory:
        return with_output(text, run_page(text, name, directory, setting))
