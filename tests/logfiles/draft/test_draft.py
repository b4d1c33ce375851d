"""A draft gives each column its role with a reason, and its three files read the log."""

import gzip
import tomllib

import numpy as np
import pytest

from bandit.catalogue import Catalogue
from bandit.errors import InputError, LogFileError
from bandit.logfiles import DraftOptions, LogMapping, draft_log, open_log
from bandit.policies import SegmentRules
from tests.logfiles.draft.files import reason_of, roles_of, trial_columns, write_csv


def read(draft, path):
    """The log as the drafted files read it, and their catalogue and rules."""
    catalogue = Catalogue.from_dict(tomllib.loads(draft.catalogue))
    rules = SegmentRules.from_dict(catalogue, tomllib.loads(draft.rules))
    return open_log(path, catalogue, LogMapping.from_dict(tomllib.loads(draft.mapping))), catalogue, rules


def whole(log):
    return next(iter(log.batches(1_000_000)))


def test_each_column_of_a_trial_has_its_role(tmp_path):
    draft = draft_log(write_csv(tmp_path / "trial.csv", trial_columns()))
    assert roles_of(draft) == {
        "age": "numeric",
        "gender": "categorical",
        "spent_last_year": "numeric",
        "spent_last_year_band": "left out",
        "country": "left out",
        "letter_group": "offer",
        "visited": "left out",
        "bought": "outcome",
        "amount": "revenue",
    }
    assert reason_of(draft, "spent_last_year_band") == 'it is "spent_last_year" in ranges'
    assert reason_of(draft, "country") == 'it is "DE" in every row'
    assert "second outcome" in reason_of(draft, "visited")


def test_the_drafted_files_read_every_row_as_the_file_has_it(tmp_path):
    columns = trial_columns()
    path = write_csv(tmp_path / "trial.csv", columns)
    draft = draft_log(path)
    log, catalogue, rules = read(draft, path)
    batch = whole(log)
    assert log.report.n_imported == len(batch) == 3_000
    assert batch.reward.sum() == pytest.approx(sum(columns["amount"]))
    assert int(batch.converted.sum()) == sum(columns["bought"])
    names = catalogue.offers(batch.offer)["letter_group"].tolist()
    assert sorted(names) == sorted(columns["letter_group"])
    assert np.unique(batch.propensity) == pytest.approx([1 / 3])
    assert rules.probabilities(batch.contexts, batch.eligible, None)[:, 0].all()


def test_a_trial_has_the_propensity_of_its_arms_and_a_targeted_log_has_not(tmp_path):
    """Where offers follow the gender in 4 of 5 rows, chi-square tests leave no doubt, and rules are drafted."""
    trial = draft_log(write_csv(tmp_path / "trial.csv", trial_columns()))
    targeted = draft_log(write_csv(tmp_path / "targeted.csv", trial_columns(targeted=True)))
    assert trial.random
    assert 'propensity = "1/3"' in trial.mapping
    assert not targeted.random
    assert 'propensity = "unknown"' in targeted.mapping
    assert 'depends on "gender"' in reason_of(targeted, "", "propensity")
    assert "estimates from the facts" in reason_of(targeted, "", "propensity")
    rules = tomllib.loads(targeted.rules)
    assert [(each["when"], each["offer"]) for each in rules["segments"]] in (
        [('gender == "f"', {"letter_group": "Letter A"})],
        [('gender == "m"', {"letter_group": "Letter B"})],
    )
    assert targeted.baseline is None


def test_unequal_arms_have_their_observed_shares(tmp_path):
    rng = np.random.default_rng(2)
    columns = {
        "age": rng.integers(18, 80, 4_000).tolist(),
        "variant": rng.choice(["control", "banner"], 4_000, p=[0.8, 0.2]).tolist(),
        "converted": (rng.random(4_000) < 0.2).astype(int).tolist(),
    }
    path = write_csv(tmp_path / "log.csv", columns)
    log, _, _ = read(draft_log(path), path)
    share = columns["variant"].count("banner") / 4_000
    assert np.unique(whole(log).propensity) == pytest.approx([share, 1 - share], abs=1e-6)


def test_a_propensity_column_is_found_and_not_taken_for_a_fact(tmp_path):
    columns = trial_columns() | {"pscore": [0.3333] * 3_000}
    path = write_csv(tmp_path / "log.csv", columns)
    draft = draft_log(path)
    assert roles_of(draft)["pscore"] == "propensity"
    assert np.unique(whole(read(draft, path)[0]).propensity) == pytest.approx([0.3333])


def test_a_german_file_is_read_as_its_numbers_and_dates_are_written(tmp_path):
    """1.144,60 and 36,68 euros, days before months, semicolons, a byte order mark, and ja for yes."""
    n = 600
    rng = np.random.default_rng(3)
    bought = rng.random(n) < 0.4
    amount = np.where(bought, rng.lognormal(6, 1, n).round(2), 0.0)
    written = [f"{each:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".") for each in amount.tolist()]
    columns = {
        "Kunde": [f"K{number}" for number in rng.integers(0, 200, n)],
        "Datum": [f"{day:02d}.12.2026" for day in rng.integers(1, 32, n)],
        "Angebot": rng.choice(["kein", "10 %", "20 %"], n).tolist(),
        "Alter": rng.integers(18, 80, n).tolist(),
        "gekauft": np.where(bought, "ja", "nein").tolist(),
        "Betrag": [text if yes else "" for text, yes in zip(written, bought.tolist(), strict=True)],
    }
    path = write_csv(tmp_path / "log.csv", columns, ";", "\ufeff")
    draft = draft_log(path)
    batch = whole(read(draft, path)[0])
    assert len(batch) == n
    assert batch.reward.sum() == pytest.approx(amount.sum())
    assert 'time_format = "%d.%m.%Y"' in draft.mapping
    assert 'decimal = ","' in draft.mapping


def test_money_signs_and_thousands_are_read_and_give_the_currency(tmp_path):
    n = 400
    rng = np.random.default_rng(4)
    amount = rng.lognormal(6, 1, n).round(2)
    columns = {
        "offer": rng.choice(["a", "b"], n).tolist(),
        "amount": [f'"${each:,.2f}"' if each > 400 else "" for each in amount.tolist()],
    }
    path = write_csv(tmp_path / "log.csv", columns)
    draft = draft_log(path)
    assert whole(read(draft, path)[0]).reward.sum() == pytest.approx(amount[amount > 400].sum())
    assert 'currency = "USD"' in draft.catalogue


def test_spaces_blanks_and_missing_words_are_mapped(tmp_path):
    """A blank option is no offer; a trailing space is none of the value; NA is a missing fact."""
    rng = np.random.default_rng(5)
    n = 600
    columns = {
        "coupon": rng.choice(["", "A10", "B20 "], n).tolist(),
        "gender": rng.choice(["f ", "m", "NA"], n).tolist(),
        "age": rng.choice(["30", "50", "NA"], n).tolist(),
        "converted": rng.choice(["0", "1"], n).tolist(),
    }
    path = write_csv(tmp_path / "log.csv", columns)
    log, catalogue, _ = read(draft_log(path), path)
    batch = whole(log)
    assert len(batch) == n
    assert catalogue.dimensions[0].names == ("none", "A10", "B20")
    assert catalogue.facts["gender"].values == ("f", "m")
    assert np.isnan(batch.contexts.columns["age"]).sum() == columns["age"].count("NA")


def test_options_that_never_go_together_become_rules(tmp_path):
    """A letter without a match states no size: the pair none with a size was never seen, nor the other way round."""
    rng = np.random.default_rng(6)
    n = 2_000
    match = rng.choice(["none", "1:1", "2:1"], n)
    columns = {
        "match_offer": match.tolist(),
        "size_offer": np.where(match == "none", "none", rng.choice(["25k", "50k"], n)).tolist(),
        "age": rng.integers(18, 80, n).tolist(),
        "gave": (rng.random(n) < 0.1).astype(int).tolist(),
    }
    path = write_csv(tmp_path / "log.csv", columns)
    _, catalogue, _ = read(draft_log(path), path)
    assert catalogue.n_offers == 5


def test_what_some_customers_never_got_is_a_rule_where_propensities_are_known_and_a_suggestion_elsewhere(tmp_path):
    rng = np.random.default_rng(7)
    n = 2_000
    member = rng.random(n) < 0.5
    columns = {
        "offer": np.where(member, rng.choice(["none", "tote"], n), "none").tolist(),
        "member_now": member.astype(int).tolist(),
        "converted": (rng.random(n) < 0.2).astype(int).tolist(),
    }
    unknown = draft_log(write_csv(tmp_path / "unknown.csv", columns))
    known = draft_log(write_csv(tmp_path / "known.csv", columns | {"propensity": np.where(member, 0.5, 1.0).tolist()}))
    assert "rules" not in tomllib.loads(unknown.catalogue)
    assert '# when = "not member_now"' in unknown.catalogue
    assert tomllib.loads(known.catalogue)["rules"][0]["when"] == "not member_now"


def test_what_gives_the_outcome_away_is_left_out(tmp_path):
    """`basket_items` is 0 exactly where nobody bought; in 1,200 rows with 0 about 140 buyers were to be expected."""
    columns = trial_columns()
    rng = np.random.default_rng(8)
    columns["basket_items"] = [int(rng.integers(1, 5)) if bought else 0 for bought in columns["bought"]]
    draft = draft_log(write_csv(tmp_path / "log.csv", columns))
    assert roles_of(draft)["basket_items"] == "left out"
    assert "gives the outcome away" in reason_of(draft, "basket_items")


def test_ids_free_texts_and_copies_are_left_out(tmp_path):
    columns = trial_columns()
    n = len(columns["age"])
    columns |= {
        "row": list(range(n)),
        "note": [f"note {number} of many" for number in range(n)],
        "sex": ["female" if each == "f" else "male" for each in columns["gender"]],
        "empty": [""] * n,
        "decision_id": [f"d{number}" for number in range(n)],
    }
    draft = draft_log(write_csv(tmp_path / "log.csv", columns))
    roles = roles_of(draft)
    assert [roles[name] for name in ("row", "note", "sex", "empty")] == ["left out"] * 4
    assert roles["decision_id"] == "decision id"
    assert reason_of(draft, "sex") == 'it says the same as "gender"'


def test_options_and_values_beyond_the_sample_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr("bandit.logfiles.draft.sample.SAMPLE_ROWS", 200)
    monkeypatch.setattr("bandit.logfiles.draft.sample.FEWEST_SAMPLE_ROWS", 100)
    rng = np.random.default_rng(9)
    n = 1_000
    columns = {
        "variant": [*rng.choice(["a", "b"], n - 1).tolist(), "late"],
        "city": [*rng.choice(["x", "y"], n - 1).tolist(), "z"],
        "converted": rng.choice(["0", "1"], n).tolist(),
    }
    path = write_csv(tmp_path / "log.csv", columns)
    draft = draft_log(path)
    log, catalogue, _ = read(draft, path)
    assert not draft.whole
    assert draft.n_rows == 200
    assert log.report.n_imported == n
    assert catalogue.facts["city"].values == ("x", "y", "z")


def test_gzip_and_parquet_are_drafted_alike(tmp_path):
    pa, parquet = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    columns = trial_columns()
    plain = write_csv(tmp_path / "log.csv", columns)
    packed = tmp_path / "log.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    parquet.write_table(pa.table(columns), tmp_path / "log.parquet")
    drafts = [draft_log(path) for path in (plain, packed, tmp_path / "log.parquet")]
    assert len({draft.rules.split("\n", 3)[3] for draft in drafts}) == 1
    assert all(roles_of(draft) == roles_of(drafts[0]) for draft in drafts)


def test_what_the_caller_says_is_not_guessed(tmp_path):
    path = write_csv(tmp_path / "log.csv", trial_columns())
    said = DraftOptions(
        outcome="visited",
        revenue="amount",
        offers=("gender",),
        customer="age",
        propensity="1/2",
        margin=0.4,
        currency="GBP",
        baseline="m",
    )
    draft = draft_log(path, said)
    assert roles_of(draft)["letter_group"] == "categorical"
    catalogue = tomllib.loads(draft.catalogue)
    assert catalogue["objective"]["kind"] == "profit"
    assert catalogue["objective"]["margin"] == 0.4
    assert catalogue["currency"] == "GBP"
    assert draft.baseline == {"gender": "m"}
    assert 'propensity = "1/2"' in draft.mapping
    log, _, _ = read(draft, path)
    assert log.report.n_imported == 3_000


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"outcome": "nope"}, '--outcome "nope" is no column'),
        ({"offers": ("nope",)}, '--offer "nope" is no column'),
        ({"customer": "nope"}, '--customer "nope"'),
        ({"margin": 35.0}, "--margin is the share"),
        ({"propensity": "nope"}, '--propensity "nope" is no column'),
        ({"propensity": "2"}, '--propensity "2"'),
        ({"baseline": "nope"}, '--baseline "nope" is no option; options are "No letter"'),
        ({"time": "gender"}, "--time-format"),
    ],
)
def test_what_does_not_fit_the_file_is_refused_in_one_sentence(tmp_path, said, sentence):
    with pytest.raises(InputError) as fault:
        draft_log(write_csv(tmp_path / "log.csv", trial_columns(300)), DraftOptions(**said))
    assert sentence in str(fault.value)


def test_rows_and_plain_values_of_a_draft(tmp_path):
    draft = draft_log(write_csv(tmp_path / "log.csv", trial_columns(500)))
    rows = draft.to_rows()
    assert len(rows) == len(draft.guesses) + len(draft.left_out)
    plain = draft.to_dict()
    assert plain["n_rows"] == 500
    assert plain["left_out"][-1]["column"] in roles_of(draft)


def test_two_thousand_columns_give_fifty_facts(tmp_path):
    rng = np.random.default_rng(10)
    columns = {"offer": rng.choice(["a", "b"], 250).tolist(), "bought": rng.choice(["0", "1"], 250).tolist()}
    columns |= {f"x{place}": rng.integers(0, 9, 250).tolist() for place in range(1_998)}
    draft = draft_log(write_csv(tmp_path / "wide.csv", columns))
    assert len(tomllib.loads(draft.catalogue)["context"]) == 50
    assert "50 facts are drafted" in reason_of(draft, "x1900")
    assert "and 1,908 more" in draft.catalogue


LONG = "decision,customer,offer,event,amount\n" + "".join(
    f"d{each},c{each % 9},a,shown,\nd{each},c{each % 9},a,purchase,20\n" for each in range(40)
)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"offer,bought\n", "has a header and no rows"),
        (b"bought\n1\n0\n", 'has one column, "bought"'),
        (bytes(range(256)) * 20, "has a NUL byte"),
        ("offer,bought\né,1\n".encode("latin-1"), "is not UTF-8 text"),
        (b"offer,age\n" + b"a,1\nb,2\n" * 20, "by --outcome COLUMN or --revenue COLUMN"),
        (b"id,text\n" + b"".join(b"%d,t%d\n" % (row, row) for row in range(50)), "by --offer COLUMN"),
        (b"offer,converted,bought\n" + b"a,1,0\nb,0,0\nb,1,1\n" * 20, '"converted", "bought" may each be the outcome'),
        (b"variant,day,bought\n" + b"a,01/02/2026,1\nb,03/04/2026,0\n" * 20, '--time-format "%d/%m/%Y"'),
        (b"offer,offer,bought\na,b,1\n" * 3, 'has the column "offer" twice'),
        (b"offer,result\n" + b"a,win\nb,draw\n" * 20, '--outcome "result='),
        (b'{"a": 1}\n', 'has one column, "a"'),
        (LONG.encode(), 'has one row an event ("event" is "shown", "purchase")'),
    ],
)
def test_a_file_of_which_no_draft_can_be_made_is_refused_with_what_to_do(tmp_path, content, sentence):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(LogFileError) as fault:
        draft_log(path)
    assert sentence in str(fault.value)
    assert str(path) in str(fault.value)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(LogFileError, match="no such file"):
        draft_log(tmp_path / "nope.csv")


def test_names_that_are_no_identifiers_are_made_ones(tmp_path):
    rng = np.random.default_rng(11)
    columns = trial_columns(400)
    columns |= {"Age (years)": rng.integers(1, 90, 400).tolist(), "1st": rng.integers(0, 9, 400).tolist()}
    columns |= {"not": rng.integers(0, 9, 400).tolist(), 'say "x"': rng.choice(["a\\b", "it's"], 400).tolist()}
    path = write_csv(tmp_path / "log.csv", {name.replace('"', ""): column for name, column in columns.items()})
    log, catalogue, _ = read(draft_log(path), path)
    assert {"Age_years", "fact_1st", "fact_not", "say_x"} <= set(catalogue.facts)
    assert log.report.n_imported == 400
