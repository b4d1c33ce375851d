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


def test_replay_as_declared_says_where_a_rotation_dealt_the_customers_anew(example, capsys, monkeypatch, tmp_path):
    """Negative control: before the rotation it says nothing."""
    arguments = ("replay", "offers.db", "--policy", "uniform", "--as-declared", "--json")
    before = run(capsys, *arguments)
    assert "dealt_anew" not in before.json
    key = tmp_path / "key"
    key.write_bytes(b"the first key of these tests")
    key.chmod(0o600)
    monkeypatch.setenv("OFFER_BANDIT_KEY_FILE", str(key))
    assert run(capsys, "rotate-key", "offers.db", "--yes").code == 0
    after = run(capsys, *arguments)
    assert after.json["dealt_anew"] is True
    assert "dealt anew, by the same shares" in after.err
    assert "dealt_anew" not in run(capsys, *arguments[:-2], "--json").json
