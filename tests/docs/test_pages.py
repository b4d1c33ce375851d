"""The pages run, and print what they show; and the helper that runs them finds what is wrong."""

import pytest

from tests.docs.executed import ELSEWHERE, EXECUTED, ROOT
from tests.docs.pages import Setting, blocks, commands, matches, rewritten, run_page, with_output

LONG = (
    "docs/howto/choose_a_half_life.md",
    "docs/howto/email_tool.md",
    "docs/howto/logs_without_propensities.md",
    "docs/howto/partitioned_logs.md",
    "docs/howto/policy_table.md",
    "docs/howto/vowpal_wabbit.md",
    "docs/report.md",
    "docs/tutorials/marketer.md",
    "docs/tutorials/data_scientist.md",
)


@pytest.mark.parametrize(
    "path", [pytest.param(each, marks=pytest.mark.slow) if each in LONG else each for each in EXECUTED]
)
def test_a_page_prints_what_it_shows(path, tmp_path):
    text = (ROOT / path).read_text(encoding="utf-8")
    for step in run_page(text, path, tmp_path, EXECUTED[path]):
        assert step.as_shown, f"{path}: {step.what} prints, run `make reference`:\n" + "\n".join(step.printed)


def test_every_page_with_a_block_that_can_run_is_run():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    runnable = {
        path.relative_to(ROOT).as_posix()
        for path in pages
        if "_build" not in path.parts
        and {"python", "console"} & {block.language for block in blocks(path.read_text(encoding="utf-8"))}
    }
    assert runnable == EXECUTED.keys() | ELSEWHERE.keys()


PAGE = """# A page

<!-- file: numbers.txt -->
```text
1
2
```

```console
$ cat numbers.txt
1
2
$ offer-bandit --version
offer-bandit ...
$ offer-bandit \\
    doctor nowhere.db
nowhere.db: ...
$ echo $?
2
```

```python
n = 3
```

```python
print(n, 0.125)
print("left out")
print("last")
```

```text
3 0...
...
last
```

<!-- not run: it needs a network -->
```python
raise OSError
```
"""


def test_a_page_with_everything_runs(tmp_path):
    steps = run_page(PAGE, "page.md", tmp_path)
    assert [step.what for step in steps] == [
        "$ cat numbers.txt", "$ offer-bandit --version", "$ offer-bandit doctor nowhere.db", "$ echo $?", "line 27",
    ]  # fmt: skip
    assert all(step.as_shown for step in steps)
    assert with_output(PAGE, steps) == PAGE


def test_output_that_differs_is_found_and_put_in():
    wrong = PAGE.replace("$ cat numbers.txt\n1\n2\n", "$ cat numbers.txt\n1\n3\n4\n").replace(
        "\nlast\n```\n\n<!", "\nend\n```\n\n<!"
    )
    assert wrong.count("end") == 1
    right = PAGE.replace("3 0...\n...\nlast\n", "3 0.125\nleft out\nlast\n")
    assert rewritten(wrong, "page.md") == right


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["a"], ["a  "], True),
        (["a"], ["a", "b"], False),
        (["a", "..."], ["a", "b", "c"], True),
        (["a", "..."], ["a"], True),
        (["...", "c"], ["a", "b"], False),
        (["in ... s"], ["in 1.2 s"], True),
        (["in ... s"], ["in 1.2 ms"], False),
        (["(a)"], ["(a)"], True),
        (["0.67 of 1,234.5 in 12"], ["0.68 of 1,234.4 in 12"], True),
        (["0.67"], ["0.69"], False),
        (["0.67"], ["0.670"], False),
        (["-0.5"], ["0.5"], False),
        (["12"], ["13"], False),
        (["version 1.2.3"], ["version 1.2.4"], False),
        ([], [], True),
        ([], ["a"], False),
    ],
)
def test_dots_stand_for_what_is_left_out(shown, printed, same):
    assert matches(shown, printed) is same


def test_a_command_that_fails_or_is_not_known_is_an_error(tmp_path):
    with pytest.raises(AssertionError, match="failed with exit code 2"):
        run_page("```console\n$ offer-bandit doctor nowhere.db\n```\n", "page.md", tmp_path)
    with pytest.raises(AssertionError, match="none of the commands"):
        run_page("```console\n$ curl example.org\n```\n", "page.md", tmp_path)
    with pytest.raises(ZeroDivisionError):
        run_page("```python\n1 / 0\n```\n", "page.md", tmp_path)


def test_a_setting_gives_files_and_variables_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.delenv("OFFER_BANDIT_KEY", raising=False)
    setting = Setting({"SHOWN": "here"}, lambda folder: (folder / "a.txt").write_text("a"))
    text = "```console\n$ ls\n$ export OFFER_BANDIT_KEY=k\n```\n```python\nimport os\nprint(os.environ['SHOWN'])\n```\n"
    (listed, exported) = run_page(text, "page.md", tmp_path, setting)
    assert (listed.printed, exported.printed) == (["a.txt"], [])
    import os  # noqa: PLC0415 - only here

    assert not {"SHOWN", "OFFER_BANDIT_KEY"} & os.environ.keys()


def test_a_block_of_commands_is_taken_apart():
    (block,) = blocks("text\n\n```console\n$ a \\\n  b\nx\n\n$ c\n```\n")
    assert list(commands(block)) == [("a b", 5, ["x"]), ("c", 8, [])]
