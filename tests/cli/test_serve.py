"""serve: what is wrong is one sentence before anything is served; how it serves is in tests/service."""

import pytest

import bandit
from tests.cli.conftest import run
from tests.conftest import SPRING

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")


@pytest.fixture
def db(tmp_path, monkeypatch):
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    catalogue = bandit.Catalogue.from_dict(SPRING)
    path = tmp_path / "offers.db"
    bandit.Engine.open(path, catalogue, bandit.Uniform(catalogue)).close()
    return path


@pytest.fixture
def served(monkeypatch):
    """What would be served, in place of serving it."""
    given = []

    def instead(recipe, options, on_start):
        given.append((recipe, options))
        on_start("http://127.0.0.1:8080")

    monkeypatch.setattr("bandit.service.server.run_service", instead)
    return given


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--workers", "0"], "--workers is a number from 1 to 256; seen 0"),
        (["--port", "70000"], "--port is a number from 0 to 65535; seen 70000"),
        (["--deadline", "0"], "--deadline is a number of seconds from 0.01 to 3600; seen 0"),
        (["--graceful", "nan"], "--graceful is a number of seconds from 0.01 to 3600; seen nan"),
        (["--max-body", "10"], "--max-body is a number of bytes from 1,000"),
        (["--max-batch", "0"], "--max-batch is a number from 1 to 100,000; seen 0"),
        (["--learn-every", "soon"], '"soon" is not a duration'),
        (["--learn-every", "0.01s"], "--learn-every is a duration of 0.1 s or more"),
        (["--root-path", "offers/"], '--root-path begins with "/"'),
        (["--log-level", "loud"], "--log-level is one of debug, info, warning, error"),
        (["--durability", "fast"], '--durability is "full" or "process"; seen "fast"'),
        (["--token-file", "nowhere"], "the token cannot be read"),
        (["--catalogue", "catalogue.toml"], "--catalogue needs --policy"),
        (["--policy-id", "7"], "there is no policy 7; known are 1"),
        (["--policy", "uniform", "--policy-id", "1"], "give one of them"),
        (["--policy", "uniformly"], 'did you mean "uniform"?'),
        (["--host", "::1", "--uds", "/nowhere/socket"], "cannot be served on"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(db, capsys, options, sentence):
    said = run(capsys, "serve", db, *options)
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err
    assert said.err.count("\n") == 1


def test_a_database_that_is_not_there_is_not_created(tmp_path, capsys):
    said = run(capsys, "serve", tmp_path / "offers.db")
    assert said.code == 2
    assert "there is no such database" in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("", "has no token"), ("short", "fewer than 16"), ("a token with spaces", "without spaces")],
)
def test_a_token_that_is_no_token_is_refused(db, tmp_path, capsys, content, sentence):
    file = tmp_path / "token"
    file.write_text(content)
    said = run(capsys, "serve", db, "--token-file", file)
    assert said.code == 2
    assert sentence in said.err


def test_a_file_that_is_no_socket_is_left_alone(db, tmp_path, capsys):
    file = tmp_path / "notes"
    file.write_text("mine")
    said = run(capsys, "serve", db, "--uds", file)
    assert (said.code, file.read_text()) == (2, "mine")
    assert "is no socket" in said.err


def test_who_can_reach_it_is_said(db, tmp_path, capsys, served):
    token = tmp_path / "token"
    token.write_text("a-token-of-our-tests")
    token.chmod(0o644)
    assert "others may read the token" in run(capsys, "serve", db, "--token-file", token).err
    token.chmod(0o600)
    assert run(capsys, "serve", db, "--token-file", token).err == ""
    assert "whoever reaches 0.0.0.0 can decide" in run(capsys, "serve", db, "--host", "0.0.0.0").err  # noqa: S104
    assert run(capsys, "serve", db).err == ""


def test_the_start_is_one_line_and_one_document_with_json(db, capsys, served):
    said = run(capsys, "serve", db, "--workers", "2", "--learn-every", "never")
    assert said.out.endswith("at http://127.0.0.1:8080: uniform, 2 workers, without learning\n")
    found = run(capsys, "serve", db, "--json").json
    assert (found["address"], found["policy"], found["workers"]) == ("http://127.0.0.1:8080", "uniform", 1)
    assert [options.learn_every for _, options in served] == [None, 10.0]


def test_a_new_database_gets_the_catalogue_and_the_policy(tmp_path, monkeypatch, capsys, served):
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    assert run(capsys, "init", tmp_path / "example").code == 0
    new = tmp_path / "new.db"
    options = ["--policy", "thompson", "--catalogue", tmp_path / "example/catalogue.toml", "--deadline", "3"]
    assert run(capsys, "serve", new, *options).code == 0
    ((recipe, _),) = served
    assert recipe.busy_timeout == 1.5
    with recipe.open() as engine:
        assert engine.policy.name == "thompson sampling"


def test_the_missing_extra_is_named(db, capsys, monkeypatch):
    monkeypatch.setattr("bandit.service.server.importlib.util.find_spec", lambda _: None)
    said = run(capsys, "serve", db)
    assert said.code == 2
    assert 'pip install "offer-bandit[service]"' in said.err
