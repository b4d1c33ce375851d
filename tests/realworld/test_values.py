"""Values of categorical facts that are not the declared ones: other spaces, another case, words for "missing"."""

import json
import sqlite3
import unicodedata

import pytest

from bandit import Catalogue, Engine, Uniform
from bandit.errors import CatalogueError, ContextError, LogFileError, UndeclaredValueWarning
from bandit.logfiles import LogMapping, from_frame, open_log
from bandit.policies import SegmentRules
from bandit.store import ContextDecoder, Store, StoreLog
from bandit.store.records import object_array

# 120 rows, 30 of each tier and offer. Buyers: gold with 10 off 18, gold without 12, basic with 10 off 6, without 9.
# Self-normalised, "gold gets 10, basic 0" earns (18 + 9) / 60 = 0.45; where the tier is not known, everybody gets 0 and
# it earns (12 + 9) / 60 = 0.35.
RIGHT, TIER_UNKNOWN = 27 / 60, 21 / 60

JUDGED = ("--catalogue", "catalogue.toml", "--mapping", "mapping.toml", "--policy", "rules:rules.toml")


def judged(desk, file, *options):
    """The rules' value on a file and on a database that the file was imported into."""
    values = []
    desk.run("evaluate", file, *JUDGED, "--estimators", "snips", "--json", *options)
    assert desk.code == 0, desk.err
    values.append(desk.json)
    desk.run("import", f"{file}.db", file, *JUDGED[:4], "--json")
    assert desk.code == 0, desk.err
    desk.run("evaluate", f"{file}.db", "--policy", "rules:rules.toml", "--estimators", "snips", "--json", *options)
    values.append(desk.json)
    return values


def value_of(result):
    return result["policies"][0]["estimates"]["snips"]["value"]


def undeclared(result):
    return [each for each in result["findings"] if each["check"] == "undeclared"]


@pytest.mark.parametrize("file", ["plain.csv", "spaces.csv"])
def test_spaces_around_a_value_change_nothing(desk, file):
    """Kind 2: "gold " and a no-break space before "basic" are gold and basic: 27 of 60, both ways, without a word."""
    desk.take("values")
    for result in judged(desk, file):
        assert value_of(result) == pytest.approx(RIGHT, abs=1e-9)
        assert undeclared(result) == []


def test_a_column_of_another_case_is_refused_with_the_map_that_cures_it(desk):
    """Kind 2: GOLD and BASIC in 120 of 120 rows: refused by both ways; with the map of the message 27 of 60."""
    desk.take("values")
    for command in (("evaluate", "upper.csv", *JUDGED), ("import", "x.db", "upper.csv", *JUDGED[:4])):
        desk.run(*command)
        assert desk.code == 2
        for words in ("120 of 120 rows", '"GOLD" (60; did you mean "gold"?)', "declared are gold, basic"):
            assert words in desk.err
    key = 'tier = { column = "tier", map = { '
    start = desk.err.index(key)
    cure = desk.err[start : desk.err.index("} }", start) + 3]
    mapping = (desk.folder / "mapping.toml").read_text(encoding="utf-8")
    desk.write("mapping.toml", mapping.replace('tier = "tier"', cure))
    for result in judged(desk, "upper.csv"):
        assert value_of(result) == pytest.approx(RIGHT, abs=1e-9)


def test_a_catalogue_may_expect_values_that_it_does_not_declare(desk):
    """Kind 2: told `undeclared_values = "other"`, the file of GOLD and BASIC is taken: nobody is gold, 21 of 60."""
    desk.take("values")
    catalogue = (desk.folder / "catalogue.toml").read_text(encoding="utf-8")
    for told in ('values = ["gold", "basic"], undeclared_values = "other"', None):
        text = catalogue.replace('values = ["gold", "basic"]', told or 'values = ["gold", "basic"]')
        if told is None:
            text = text.replace("[context]", '[context]\nundeclared_values = "other"')
        desk.write("catalogue.toml", text)
        desk.run("evaluate", "upper.csv", *JUDGED, "--estimators", "snips", "--json")
        assert value_of(desk.json) == pytest.approx(TIER_UNKNOWN, abs=1e-9)
        assert undeclared(desk.json) == []


def test_few_undeclared_values_are_said_with_their_numbers(desk):
    """Kind 2: of 120 rows 12 say "Gold" (under half): both ways name them, in the JSON, too; "NULL" is missing."""
    desk.take("values")
    lines = (desk.folder / "plain.csv").read_text(encoding="utf-8").splitlines()
    gold = [place for place, line in enumerate(lines) if line.startswith("gold")]
    for place in gold[:12]:
        lines[place] = "G" + lines[place][1:]
    for place in gold[12:15]:
        lines[place] = lines[place].replace("gold", "NULL")
    desk.write("some.csv", "\n".join(lines) + "\n")
    for result in judged(desk, "some.csv"):
        (finding,) = undeclared(result)
        assert '12 of 117 known values of the fact "tier" are not declared' in finding["sentence"]
        assert '"Gold" (12; did you mean "gold"?)' in finding["sentence"]
    desk.run("import", "y.db", "some.csv", *JUDGED[:4], "--json")
    (found,) = desk.json["undeclared"]
    assert (found["n"], found["n_known"]) == (12, 117)
    assert found["values"] == [{"value": "Gold", "n": 12, "nearest": "gold"}]
    assert found["taken_for_missing"] == [{"value": "NULL", "n": 3}]
    desk.run("doctor", "y.db", "--json")
    assert any('"Gold" (12; did you mean "gold"?)' in note for note in desk.json["notes"])
    desk.run("doctor", "some.csv.db")
    assert "Gold" in desk.out


@pytest.mark.parametrize("text", ["Ko\u0308ln", "K\u00f6ln", " K\u00f6ln\u00a0", "\ufeffKo\u0308ln"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_every_normal_form_of_a_value_is_that_value(text, form):
    """Kind 2: "Köln" composed or not, in the catalogue, in a context and in a condition: the code is 0 each time."""
    name = unicodedata.normalize(form, "K\u00f6ln")
    discount = {"name": "discount", "options": [{"name": "0"}, {"name": "10"}]}
    catalogue = Catalogue.from_dict(
        {
            "context": {"town": {"type": "categorical", "values": [name, "Ulm"]}},
            "dimensions": [discount],
            "rules": [{"when": f'town == "{text.strip()}"', "forbid": {"discount": ["10"]}}]
            if "\ufeff" not in text
            else [],
        }
    )
    for contexts in (catalogue.contexts([{"town": text}]), catalogue.contexts({"town": [text, "Ulm"]}).take(slice(1))):
        assert contexts.columns["town"].tolist() == [0]
        assert contexts.text["town"].tolist() == [name]
        if "\ufeff" not in text:
            assert catalogue.eligible(contexts).tolist() == [[True, False]]


TIERS = Catalogue.from_dict(
    {
        "context": {
            "tier": {"type": "categorical", "values": ["1", "2"]},
            "club": {"type": "categorical", "values": ["true", "false"]},
        },
        "dimensions": [{"name": "discount", "options": [{"name": "0"}, {"name": "10"}]}],
    }
)


def test_decide_warns_once_a_fact_and_counts(tmp_path):
    """Kind 2: "True" twice and "1.0" once: two warnings, each names the nearest value; status counts 2 and 1."""
    with Engine.open(tmp_path / "x.db", TIERS, Uniform(TIERS), seed=1, customer_key=b"a key for our tests") as engine:
        with pytest.warns(UndeclaredValueWarning, match='did you mean "true"') as warned:
            engine.decide("a", {"tier": "1", "club": "True"})
        assert [each.filename for each in warned] == [__file__]
        with pytest.warns(UndeclaredValueWarning, match='did you mean "1"') as warned:
            engine.decide_batch(["b", "c"], [{"tier": "1.0"}, {"club": "True"}])
        assert [each.filename for each in warned] == [__file__]
        found = {each.fact: (each.n, each.n_known) for each in engine.status().undeclared}
        assert found == {"club": (2, 2), "tier": (1, 2)}
        assert json.dumps(engine.status().to_dict())
        assert engine.verify().problems == ()


@pytest.mark.parametrize("word", ["NULL", "nan", "None", "N/A", "-", "<NA>", " null "])
def test_words_for_missing_are_missing_and_said(tmp_path, word):
    """Kind 2: the code is that of a missing value (-1), the log has nothing, and one warning names the word."""
    assert TIERS.contexts([{"tier": word}]).columns["tier"].tolist() == [-1]
    assert TIERS.contexts({"tier": [word, "2"]}).columns["tier"].tolist() == [-1, 1]
    with Engine.open(tmp_path / "x.db", TIERS, Uniform(TIERS), seed=1, customer_key=b"a key for our tests") as engine:
        with pytest.warns(UndeclaredValueWarning, match="taken for a missing value"):
            engine.decide("a", {"tier": word})
        engine.decide_batch(["a", "b"], {"tier": [word, None]})
        assert engine.status().undeclared[0].missing[0].n == 2


def test_a_declared_word_for_missing_is_a_value():
    """Negative control: "none" is declared, so "none" is it, and "None" is undeclared with "none" as the nearest."""
    catalogue = Catalogue.from_dict(
        {
            "context": {"gift": {"type": "categorical", "values": ["tote", "none"]}},
            "dimensions": [{"name": "discount", "options": [{"name": "0"}]}],
        }
    )
    assert catalogue.contexts({"gift": ["none", "None", "NULL"]}).columns["gift"].tolist() == [1, 2, -1]


ALIKE = {
    "dimensions": {"dimensions": [{"name": n, "options": [{"name": "0"}]} for n in ("Channel", "channel")]},
    "options": {"dimensions": [{"name": "channel", "options": [{"name": "e mail"}, {"name": "E  mail"}]}]},
    "facts": {"context": {"Age": {"type": "numeric"}, "age": {"type": "numeric"}}},
    "values": {"context": {"town": {"type": "categorical", "values": ["K\u00f6ln", "Ko\u0308ln"]}}},
    "cases": {"context": {"sex": {"type": "categorical", "values": ["f", "F"]}}},
    "width": {"context": {"sex": {"type": "categorical", "values": ["f", "\uff46"]}}},
}


@pytest.mark.parametrize("what", ALIKE)
def test_names_that_look_alike_are_refused_but_not_those_of_a_stored_catalogue(what, tmp_path):
    """Kind 2: two names that a form or a person would confuse; a database that has them already is still read."""
    content = {"dimensions": [{"name": "discount", "options": [{"name": "0"}]}]} | ALIKE[what]
    with pytest.raises(CatalogueError, match="look alike"):
        Catalogue.from_dict(content)
    catalogue = Catalogue.from_stored(content)
    with Store.open(tmp_path / "old.db", customer_key=b"a key for our tests") as store:
        number = store.catalogues.register(catalogue)
    with Store.open(tmp_path / "old.db", customer_key=b"a key for our tests") as store:
        assert store.catalogues.get(number).version == catalogue.version


def test_a_condition_and_a_rule_name_the_nearest_declared_value():
    """Kind 2, sibling: segment rules with "F" under the values f and m are refused, and "f" is named."""
    catalogue = Catalogue.from_dict(
        {
            "context": {"sex": {"type": "categorical", "values": ["f", "m"]}},
            "dimensions": [{"name": "discount", "options": [{"name": "0"}]}],
        }
    )
    rules = {
        "segments": [{"name": "f", "when": 'sex == "F"', "offer": {"discount": "0"}}],
        "otherwise": {"discount": "0"},
    }
    with pytest.raises(CatalogueError, match='did you mean "f"'):
        SegmentRules.from_dict(catalogue, rules)


def test_a_draft_declares_one_value_for_texts_that_look_alike(desk):
    """Kind 2, sibling: half of the file says "Gold ", some offers "Email": drafted as one value, and it evaluates."""
    lines = ["customer,tier,channel,converted"]
    for place in range(600):
        tier = ("gold", "Gold ", "basic")[place % 3]
        channel = ("email", "Email", "sms", "sms")[place // 3 % 4]
        lines.append(f"c{place},{tier},{channel},{int(place * 7 % 10 < 3)}")
    desk.write("log.csv", "\n".join(lines) + "\n")
    desk.run("init", "out", "--from", "log.csv", "--json")
    assert desk.code == 0, desk.err
    catalogue = Catalogue.from_toml(desk.folder / "out" / "catalogue.toml")
    assert len(catalogue.facts["tier"].values) == 2
    assert catalogue.n_offers == 2
    log = open_log(desk.folder / "log.csv", catalogue, LogMapping.from_toml(desk.folder / "out" / "mapping.toml"))
    assert (log.n, log.report.undeclared) == (600, ())


def test_a_frame_of_another_case_is_refused_like_a_file():
    """Kind 2 by library: three of three values are undeclared; with one in three the log is made and says so."""
    frame = {"tier": ["one", "one", "two"], "discount": ["0"] * 3, "propensity": [0.5] * 3, "converted": [True] * 3}
    with pytest.raises(LogFileError, match="3 of 3 rows"):
        from_frame(frame, TIERS)
    log = from_frame(frame | {"tier": ["1", "1", "two"]}, TIERS)
    assert (log.n, log.report.undeclared[0].n) == (3, 1)


def test_decisions_of_an_older_version_are_repeated_as_they_were_and_analysed_as_they_are_meant(tmp_path):
    """Stored as "1 " by a version that compared texts as they are: undeclared (2) for verify, "1" (0) for a log.

    `doctor` reads what learning reads, and names the text and the value that it was meant to be.
    """
    path = tmp_path / "x.db"
    with Engine.open(path, TIERS, Uniform(TIERS), seed=1, customer_key=b"a key for our tests") as engine:
        engine.decide("a", {"tier": "1"})
    raw = sqlite3.connect(path)
    for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        raw.execute(f'DROP TRIGGER "{name}"')  # decisions are append-only
    raw.execute("""UPDATE decisions SET context = '{"tier":"1 "}'""")
    raw.commit()
    raw.close()
    with Store.open(path, customer_key=b"a key for our tests") as store:
        batch = next(iter(StoreLog(store, TIERS).batches()))
        assert batch.contexts.columns["tier"].tolist() == [0]
        texts = object_array(['{"tier":"1 "}'])
        assert ContextDecoder(TIERS).read(texts, texts).columns["tier"].tolist() == [2]
        assert store.fact_counts.texts(1, "tier") == {"1 ": 1}


def test_numeric_facts_are_strict_as_before():
    """Negative control: "3 %" is no number, and nothing is guessed."""
    catalogue = Catalogue.from_dict(
        {"context": {"age": {"type": "numeric"}}, "dimensions": [{"name": "discount", "options": [{"name": "0"}]}]}
    )
    with pytest.raises(ContextError, match="numeric"):
        catalogue.contexts([{"age": "3 %"}])


SHARED = ("values_plain.csv", "values_space.csv", "values_upper.csv")

GENDER = '[context]\ngender = { type = "categorical", values = ["f", "m"] }\n'


def test_the_shared_values_come_out_right(desk):
    """Plain and with a space: 10 earns .1892, 0 earns .1647, "f gets 10, m 0" .2399; upper case is refused."""
    desk.take("values").take_shared(*SHARED)
    for name, old, new in (
        ("catalogue.toml", '[context]\ntier = { type = "categorical", values = ["gold", "basic"] }\n', GENDER),
        ("mapping.toml", 'tier = "tier"', 'gender = "gender"'),
        ("rules.toml", 'tier == "gold"', 'gender == "f"'),
    ):
        desk.write(name, (desk.folder / name).read_text(encoding="utf-8").replace(old, new))
    more = ("--policy", "offer:discount=10", "--policy", "offer:discount=0")
    for file in SHARED[:2]:
        for result in judged(desk, file, *more):
            values = [each["estimates"]["snips"]["value"] for each in result["policies"]]
            assert values == pytest.approx([0.2399, 0.1892, 0.1647], abs=6e-5)
    desk.run("evaluate", "values_upper.csv", *JUDGED)
    assert desk.code == 2
    assert 'did you mean "f"' in desk.err
