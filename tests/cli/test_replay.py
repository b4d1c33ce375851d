"""The command replay."""

from tests.cli.conftest import run


def test_replay_runs_what_learns_through_the_log(example, capsys):
    arguments = ("replay", "offers.db", "--policy", "thompson", "--policy", "uniform")
    said = run(capsys, *arguments)
    assert said.code == 0
    assert "thompson sampling" in said.out
    plain = run(capsys, *arguments, "--json").json
    assert [each["name"] for each in plain["replays"]] == ["thompson sampling", "uniform"]
    assert 0 < plain["replays"][0]["accepted"] < 2_000
