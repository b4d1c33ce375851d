"""The commands of a campaign on files: decide --out and record --from."""

import csv
from pathlib import Path

import pytest

from tests.cli.conftest import content, run

AUDIENCE = "customer,email,gender,recency,loyal\nanna,a@x.org,f,1.5,true\nben,b@x.org,m,soon,\n=carla,,f,,false\n"
DECIDE = ("decide", "offers.db", "audience.csv", "--campaign", "easter", "-o", "out.csv")


@pytest.fixture
def audience(example):
    Path("audience.csv").write_text(AUDIENCE, encoding="utf-8")
    return example


def read(path):
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_an_audience_gets_its_offers_and_the_outcomes_come_back(capsys, audience):
    ran = run(capsys, *DECIDE)
    assert ran.code == 0, ran.err
    assert '2 offers of the campaign "easter" written to out.csv: 2 decided now' in " ".join(ran.out.split())
    assert 'line 3: "soon" in "recency" is not a finite number' in ran.err
    assert "columns that are no facts are not used: email" in ran.err
    rows = read("out.csv")
    assert [row["customer"] for row in rows] == ["anna", "'=carla"]
    again = run(capsys, *DECIDE, "--json")
    assert (again.json["n_new"], again.json["n_decided_before"], again.json["n_refused"]) == (0, 2, 1)
    assert read("out.csv") == rows
    why = run(capsys, "why", "offers.db", rows[0]["decision_id"], "--json")
    assert why.code == 0, why.err
    Path("shop.csv").write_text(
        f"decision_id,event,revenue\n{rows[0]['decision_id']},purchase,52\nnone,purchase,3\n", encoding="utf-8"
    )
    found = run(capsys, "record", "offers.db", "--from", "shop.csv", "--json").json
    assert (found["n_new"], found["n_unknown"]) == (1, 1)
    table = run(capsys, "record", "offers.db", "--from", "shop.csv")
    assert "recorded before" in table.out
    assert run(capsys, "learn", "offers.db", "--json").json["n"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("audience.csv", "-o", "out.csv"), "needs both --out FILE"),
        (("audience.csv", "--campaign", "easter"), "needs both --out FILE"),
        (("audience.csv", "--campaign", "easter", "-o", "out.csv", "--fact", "gender=f"), "facts in its file"),
        (("none.csv", "--campaign", "easter", "-o", "out.csv"), "there is no such file"),
        (("audience.csv", "--campaign", "easter", "-o", "no/out.csv"), "so nothing was decided"),
        (("audience.csv", "--campaign", "easter", "-o", "audience.csv"), "is the file of the audience itself"),
        (("audience.csv", "--campaign", "easter", "-o", "o.csv", "--customer-column", "who"), 'no column "who"'),
        (("bad.csv", "--campaign", "easter", "-o", "out.csv"), "no row can be used, the first because"),
        (("twice.csv", "--campaign", "easter", "-o", "out.csv"), "1 row of customers that it has already"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_decided(capsys, audience, arguments, said):
    Path("bad.csv").write_text("customer,recency\nanna,soon\n", encoding="utf-8")
    Path("twice.csv").write_text("customer,recency\nanna,1\nanna,2\n", encoding="utf-8")
    before = content(Path())[1]
    ran = run(capsys, "decide", "offers.db", *arguments)
    assert ran.code == 2
    assert said in ran.sentence
    assert not Path("out.csv").exists()
    assert content(Path())[1] == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "or a file of outcomes with --from"),
        (("one",), "or a file of outcomes with --from"),
        (("one", "--from", "audience.csv"), "leave the other ones out"),
        (("one", "purchase", "--campaign", "easter"), "give it, too"),
        (("--from", "audience.csv", "--column", "event"), "write it as NAME=VALUE"),
        (("--from", "audience.csv"), "no column of the events' names"),
    ],
)
def test_record_says_what_is_missing(capsys, audience, arguments, said):
    ran = run(capsys, "record", "offers.db", *arguments)
    assert ran.code == 2
    assert said in ran.sentence
