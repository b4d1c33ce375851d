"""Bad input gets exit code 2 and one sentence, and nothing is written."""

import shutil
from pathlib import Path

import pytest

from bandit.cli import main
from tests.cli.conftest import content, imported_example, run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A directory with a small log, a database with a policy, and files that are wrong in many ways."""
    directory = tmp_path_factory.mktemp("bad")
    with imported_example(directory, 300):
        assert main(["learn", "offers.db", "--policy", "thompson"]) == 0
        assert main(["decide", "offers.db", "anna", "--decision-id", "one"]) == 0
        assert main(["record", "offers.db", "one", "purchase", "--revenue", "5"]) == 0
        _write_what_is_wrong()
    return directory


def _write_what_is_wrong():
    rows = Path("log.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    catalogue = Path("catalogue.toml").read_text(encoding="utf-8")
    mapping = Path("mapping.toml").read_text(encoding="utf-8")
    options = ", ".join(f'{{ name = "{j}" }}' for j in range(20))
    texts = {
        "torn.toml": "[objective\nkind = 1",
        "costly.toml": catalogue.replace("rate = 0.20", "rate = 1.2"),
        "misspelt.toml": catalogue.replace("margin", "margn"),
        "condition.toml": catalogue.replace('when = "not loyal"', 'when = "not royal"'),
        "huge.toml": "".join(f'[[dimensions]]\nname = "d{i}"\noptions = [{options}]\n' for i in range(6)),
        "badrules.toml": Path("rules.toml").read_text(encoding="utf-8").replace('discount = "20"', 'discount = "50"'),
        "other.toml": mapping.replace('"probability"', '"likelihood"'),
        "typo.toml": mapping.replace("row_customer", "x") + "\nclosd = true\n",
        "quoted.csv": "".join(rows) + '"s9,2026',
        "empty.csv": "",
        "blank.csv": rows[0] + rows[1] + rows[2].replace("email", "").replace("sms", ""),
        "refused.csv": rows[0] + "".join(row.replace("email", "fax").replace("sms", "fax") for row in rows[1:]),
        "conflict.csv": rows[0] + rows[1].replace(",customer-", ",someone-"),
        "notes.txt": "this is no database, however long it may be " * 100,
    }
    for name, text in texts.items():
        Path(name).write_text(text, encoding="utf-8")
    Path("latin.csv").write_bytes("".join(rows).encode() + b"\xe9t\xe9\n")
    Path("nul.csv").write_bytes("".join(rows).encode() + b"\0\n")
    Path("torn.csv.gz").write_bytes(b"\x1f\x8b\x08" + bytes(40))


FILES = "--catalogue catalogue.toml --mapping mapping.toml"
BAD = {
    "a command that is none": ("evalate offers.db", "No such command 'evalate'"),
    "an option that is none": ("verify offers.db --colour", "No such option: --colour"),
    "no database named": ("evaluate --policy uniform", "Missing argument 'DB'"),
    "no policy named": ("evaluate offers.db", "Missing option '--policy'"),
    "a word for a number": ("evaluate offers.db --policy uniform --level high", "Invalid value for '--level'"),
    "a database that is not there": ("evaluate no.db --policy uniform", "no.db: there is no such database"),
    "a database that is none": ("verify notes.txt", "not"),
    "a directory for a database": ("verify .", "."),
    "a policy that is none": ("evaluate offers.db --policy best", '"best" is no policy; write one of uniform'),
    "rules without a file": ("evaluate offers.db --policy rules", '"rules" is no policy by itself; write rules:FILE'),
    "rules that are not there": ("evaluate offers.db --policy rules:no.toml", "no.toml: cannot be read"),
    "rules with an unknown option": (
        "evaluate offers.db --policy rules:badrules.toml",
        'segment 1: "50" is not an option of "discount"',
    ),
    "an offer of half its dimensions": (
        "evaluate offers.db --policy offer:discount=10",
        'lacks the dimension "channel"',
    ),
    "an offer that is not legal": (
        "evaluate offers.db --policy offer:discount=20,channel=sms,gift=tote",
        "not legal: margin floor",
    ),
    "an offer that cannot be read": ("evaluate offers.db --policy offer:discount", "cannot be read at"),
    "arguments that vw does not take": (
        "evaluate offers.db --policy vw:--nonsense",
        "VW's --nonsense is not among the options",
    ),
    "an unknown estimator": ("evaluate offers.db --policy uniform --estimators best", 'no estimator "best"'),
    "a level above 1": ("evaluate offers.db --policy uniform --level 95", "level is 95"),
    "a share above 1": ("evaluate offers.db --policy thompson --split 2", "share to learn on is 2"),
    "an unknown objective": (
        "evaluate offers.db --policy uniform --objective fame",
        'there is no objective "fame"; choose from conversion, revenue',
    ),
    "a window of words": ("evaluate offers.db --policy uniform --window soon", '"soon" is not a duration'),
    "a seed below 0": ("evaluate offers.db --policy uniform --seed -1", "Invalid value for '--seed'"),
    "a bound below 1": ("replay offers.db --policy uniform --bound 0.5", "the bound is 0.5"),
    "a block of 0": ("replay offers.db --policy uniform --block 0", "block is 0"),
    "a new database without a catalogue": ("import new.db log.csv --mapping mapping.toml", "needs --catalogue"),
    "a log that is not there": (f"import new.db no.csv {FILES}", "no.csv: there is no such file"),
    "a catalogue that is not there": ("import new.db log.csv --catalogue no.toml --mapping mapping.toml", "no.toml"),
    "a catalogue that is torn": (
        "import new.db log.csv --catalogue torn.toml --mapping mapping.toml",
        "torn.toml: is not well-formed TOML",
    ),
    "a catalogue with a rate above 1": (
        "import new.db log.csv --catalogue costly.toml --mapping mapping.toml",
        "rate is a share, 0 to 1; seen 1.2",
    ),
    "a catalogue with a misspelt key": (
        "import new.db log.csv --catalogue misspelt.toml --mapping mapping.toml",
        "unknown field `margn`",
    ),
    "a condition over a fact that is not declared": (
        "import new.db log.csv --catalogue condition.toml --mapping mapping.toml",
        '"royal" is not a declared fact',
    ),
    "a catalogue of too many offers": (
        "import new.db log.csv --catalogue huge.toml --mapping mapping.toml",
        "64,000,000 combinations",
    ),
    "a mapping with a misspelt key": (
        "import new.db log.csv --catalogue catalogue.toml --mapping typo.toml",
        "unknown",
    ),
    "a mapping to a column that is not there": (
        "import new.db log.csv --catalogue catalogue.toml --mapping other.toml",
        'line 1 has no column "likelihood"',
    ),
    "a log with an open quote at its end": (f"import new.db quoted.csv {FILES}", "line 302 is malformed"),
    "a log that is not UTF-8 at its end": (f"import new.db latin.csv {FILES}", "line 302 is not UTF-8"),
    "a log with a NUL byte at its end": (f"import new.db nul.csv {FILES}", "line 302 has a NUL byte"),
    "a gzip that is torn": (f"import new.db torn.csv.gz {FILES}", "damaged or truncated gzip"),
    "an empty log": (f"import new.db empty.csv {FILES}", "has no header"),
    "a log of which nothing can be used": (
        f"import offers.db refused.csv {FILES}",
        '300 of 300 rows have texts that are no options of "channel", such as fax (300)',
    ),
    "a refused row under strict": (f"import new.db blank.csv {FILES} --strict", "1 of 2 rows are refused"),
    "a decision that is there with other content": (f"import offers.db conflict.csv {FILES}", '"s00000"'),
    "a context that is not JSON": ("decide offers.db anna --context {gender}", "the context is not JSON"),
    "a context that is a list": ("decide offers.db anna --context [1]", "must be a JSON object"),
    "a fact that is not declared": ("decide offers.db anna --fact age=7", '"age", which the catalogue does not'),
    "a fact of the wrong type": ("decide offers.db anna --fact recency=often", 'fact "recency" is numeric'),
    "a fact that is NaN": ("decide offers.db anna --fact recency=nan", 'fact "recency" is numeric'),
    "a fact without a value": ("decide offers.db anna --fact gender", "write NAME=VALUE"),
    "a fact given twice": ("decide offers.db anna --fact loyal=1 --fact loyal=0", "given twice"),
    "a wrong fact with a new policy": (
        "decide offers.db anna --policy uniform --fact recency=often",
        'fact "recency" is numeric',
    ),
    "a wrong fact with a new database": (
        "decide new.db anna --catalogue catalogue.toml --policy uniform --fact recency=often",
        'fact "recency" is numeric',
    ),
    "a customer without a name": ("decide offers.db ''", "a customer is a text that is not empty"),
    "an id that is taken": ("decide offers.db bert --decision-id one", '"one" is already in the log'),
    "a policy by a number that is none": ("decide offers.db anna --policy-id 9", "there is no policy 9"),
    "a policy by name and number": ("learn offers.db --policy vw --policy-id 1", "give one of them"),
    "a new database for learning": ("learn new.db --policy thompson", "there is no such database"),
    "an event of an unknown decision": ("record offers.db two purchase", '"two"'),
    "revenue that is NaN": ("record offers.db one refund --revenue nan", "revenue must be a finite number; seen nan"),
    "reward that is infinite": ("record offers.db one refund --reward inf", "reward must be a finite number"),
    "a time of words": ("record offers.db one refund --time noon", 'the time "noon" is not an ISO 8601 time'),
    "an event again with other content": ("record offers.db one purchase --revenue 6", "--correct"),
    "a database for learning that is none": ("learn notes.txt", "notes.txt"),
    "a fit into nothing": ("fit offers.db", "Missing option '--into'"),
    "a fit into the log itself": ("fit offers.db --into offers.db", "would learn its decisions twice"),
    "a fit into what is there": ("fit offers.db --into notes.txt", "notes.txt: is there already"),
    "a fit into a directory that is not there": ("fit offers.db --into no/new.db", "there is no directory no"),
    "a fit of a log that is not there": ("fit no.db --into new.db", "no.db: there is no such database"),
    "a fit with a half-life of words": ("fit offers.db --into new.db --half-life soon", '"soon" is not a duration'),
    "a fit with a floor above 1": ("fit offers.db --into new.db --floor 2", "floor is a share between 0 and 1"),
    "a fit of decisions that nobody made": ("fit offers.db --into new.db --written-by 9", "no policy 9 has decided"),
    "a half-life of words": ("half-life offers.db --candidates soon", '"soon" is not a half-life'),
    "no half-life to compare": ("half-life offers.db --candidates never", 'nothing to compare with "never"'),
    "half-lives by blocks of nothing": ("half-life offers.db --block 0", "block is 0"),
    "half-lives of a database that is not there": ("half-life no.db", "no.db: there is no such database"),
    "exploration by the year": ("exploration offers.db --by year", 'no period "year"; choose from tenth, week'),
    "exploration of a policy that is none": ("exploration offers.db --policy-id 9", "there is no policy 9"),
    "exploration in a database that is none": ("exploration notes.txt", "notes.txt"),
}


@pytest.mark.parametrize(("command", "words"), BAD.values(), ids=BAD)
def test_bad_input_gets_one_sentence_and_writes_nothing(prepared, tmp_path, monkeypatch, capsys, command, words):
    here = tmp_path / "here"
    shutil.copytree(prepared, here)
    monkeypatch.chdir(here)
    before = content(here)
    arguments = [part.strip("'") for part in command.split()]
    said = run(capsys, *arguments)
    assert said.code == 2, said
    assert words in said.sentence
    assert "Traceback" not in said.err
    assert said.out == ""
    assert content(here) == before
    assert not list(here.glob("new.db*"))


def test_a_database_that_cannot_be_made_is_a_sentence(tmp_path, capsys):
    said = run(capsys, "init", tmp_path)
    assert said.code == 0
    missing = tmp_path / "no" / "offers.db"
    files = ("--catalogue", tmp_path / "catalogue.toml", "--mapping", tmp_path / "mapping.toml")
    said = run(capsys, "import", missing, tmp_path / "log.csv", *files)
    assert said.code == 2
    assert "offers.db" in said.sentence
