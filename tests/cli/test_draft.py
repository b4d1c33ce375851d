"""The command init --from: from a file that was never seen to files that read it and a first verdict."""

import shlex
import tomllib

import pytest

from tests.cli.conftest import run
from tests.logfiles.draft.files import trial_columns, write_csv

FILES = ("catalogue.toml", "mapping.toml", "rules.toml")


@pytest.fixture
def trial(tmp_path, monkeypatch):
    """The directory with trial.csv, which is also the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFER_BANDIT_KEY", raising=False)
    write_csv(tmp_path / "trial.csv", trial_columns(6_000))
    return tmp_path


def test_one_command_leads_from_a_file_to_a_verdict(trial, capsys):
    """Letters double the response of 8 %, so letters to everybody are better than none."""
    said = run(capsys, "init", "--from", "trial.csv")
    assert said.code == 0
    assert "offer letter_group:" in said.out
    assert "visited: a second outcome" in said.out
    assert "They read all 6,000 rows." in said.out
    assert "better - it earns" in said.out
    assert all((trial / name).exists() for name in FILES)


@pytest.mark.slow
def test_the_commands_that_it_prints_work_as_printed(trial, capsys):
    said = run(capsys, "init", "my files", "--from", "trial.csv", "--no-evaluate")
    assert said.code == 0
    assert "better" not in said.out
    commands = [line.strip() for line in said.out.splitlines() if line.startswith("  offer-bandit")]
    assert len(commands) == 3
    for command in commands:
        assert run(capsys, *shlex.split(command)[1:]).code == 0, command


def test_the_log_of_the_example_drafts_a_catalogue_with_the_rules_of_the_example(example, capsys):
    """No tote at 20 %, and none for guests: the draft has as many legal offers as the example's catalogue, ten."""
    said = run(capsys, "init", "drafted", "--from", "log.csv", "--no-evaluate", "--json").json
    assert said["n_offers"] == 10
    assert said["read"]["n_refused"] == 0
    rules = tomllib.loads((example / "drafted" / "catalogue.toml").read_text(encoding="utf-8"))["rules"]
    assert [rule["forbid"] for rule in rules] == [{"discount": ["20 %"], "gift": ["tote"]}, {"gift": ["tote"]}]
    assert rules[1]["when"] == 'club == "guest"'


def test_json_has_the_guesses_the_verdicts_and_the_next_commands(trial, capsys):
    said = run(capsys, "init", "--from", "trial.csv", "--json", "--seed", 3).json
    assert {guess["role"] for guess in said["guesses"]} >= {"offer", "outcome", "revenue", "numeric", "propensity"}
    assert [left["column"] for left in said["left_out"]] == ["spent_last_year_band", "country", "visited"]
    assert "better" in said["evaluation"]["verdicts"].values()
    assert said["files"] == [*FILES]
    assert said["next"][0].startswith("offer-bandit evaluate trial.csv")


def test_files_are_overwritten_only_when_forced(trial, capsys):
    (trial / "mapping.toml").write_text("mine", encoding="utf-8")
    refused = run(capsys, "init", "--from", "trial.csv")
    assert refused.code == 2
    assert "mapping.toml already" in refused.sentence
    assert (trial / "mapping.toml").read_text(encoding="utf-8") == "mine"
    assert not (trial / "catalogue.toml").exists()
    assert run(capsys, "init", "--from", "trial.csv", "--force", "--no-evaluate").code == 0
    assert (trial / "mapping.toml").read_text(encoding="utf-8") != "mine"


def test_a_question_names_the_option_that_answers_it_and_writes_nothing(trial, capsys):
    (trial / "odd.csv").write_text("offer,result\n" + "a,win\nb,draw\n" * 50, encoding="utf-8")
    asked = run(capsys, "init", "--from", "odd.csv")
    assert asked.code == 2
    assert "--outcome" in asked.sentence
    assert not any((trial / name).exists() for name in FILES)
    answered = run(capsys, "init", "--from", "odd.csv", "--outcome", "result=win")
    assert answered.code == 0
    assert 'equals = "win"' in (trial / "mapping.toml").read_text(encoding="utf-8")


def test_options_of_a_draft_need_a_file(trial, capsys):
    said = run(capsys, "init", "--outcome", "bought")
    assert said.code == 2
    assert "--from FILE" in said.sentence


def test_a_file_of_another_ending_is_drafted_and_to_be_imported_first(trial, capsys):
    write_csv(trial / "trial.txt", trial_columns(400), "\t")
    said = run(capsys, "init", "--from", "trial.txt")
    assert said.code == 0
    assert "import it before you evaluate" in said.err
    assert "Next:\n  offer-bandit import" in said.out


def test_a_directory_that_cannot_be_written_is_told(trial, capsys):
    (trial / "file").write_text("", encoding="utf-8")
    said = run(capsys, "init", "file/below", "--from", "trial.csv", "--no-evaluate")
    assert said.code == 2
    assert "choose another directory" in said.sentence
