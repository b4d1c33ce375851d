"""The page on reasons: its examples run in their order, and its commands print what stands there."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from bandit.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "why.md"
BLOCK = re.compile(r"```(python|console)\n(.*?)```", flags=re.DOTALL)
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*")


def without_numbers(text):
    """The text with # for each number and one space for many, without the bars, which follow the numbers."""
    kept = re.sub(r"(?<= )[+-]{2,}(?= |$)|(?<=  )[+-](?= |$)", "", text, flags=re.MULTILINE)
    return re.sub(r"[ \n]+", " ", NUMBER.sub("#", kept)).strip()


def numbers(text):
    return [float(each.replace(",", "")) for each in NUMBER.findall(text)]


def test_the_examples_run_and_print_what_the_page_says(tmp_path, monkeypatch, capsys):
    """Numbers may differ in their last digits on another processor: by 2 % or half of the last digit shown."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a secret of our own")
    monkeypatch.setenv("COLUMNS", "80")
    names = {}
    n_commands = 0
    for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(text, "why.md", "exec"), names)  # noqa: S102 - it is our own page
            assert out.getvalue()
            continue
        command, _, expected = text.partition("\n")
        capsys.readouterr()
        assert main(command.removeprefix("$ offer-bandit ").split()) == 0
        said = capsys.readouterr().out
        assert without_numbers(said) == without_numbers(expected)
        assert numbers(said) == pytest.approx(numbers(expected), rel=0.02, abs=0.011)
        n_commands += 1
    assert n_commands == 3
    assert names["predicted"].p_convert.value.shape == (2, 4)
