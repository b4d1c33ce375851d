"""The page on groups: its test vectors are what the engine assigns, and its recipe gives them too."""

import hashlib
import re
from pathlib import Path

import pytest

import bandit
from tests.docs.pages import blocks

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "groups.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| `(?P<salt>[^`]*)` \| `(?P<key>[^`]+)` \| `(?P<h>[0-9a-f]{16})` \| (?P<u>[0-9.]+) \| (?P<group>\w+) \|$"
)
VECTORS = [found.groupdict() for line in PAGE.splitlines() if (found := ROW.match(line))]
SHARES = {"policy": 0.8, "rules": 0.1, "random": 0.05, "holdout": 0.05}


def catalogue(salt):
    nothing = {"channel": "email"}
    return bandit.Catalogue.from_dict(
        {
            "dimensions": [{"name": "channel", "options": [{"name": "email"}, {"name": "sms"}]}],
            "fallback": nothing,
            "groups": {**SHARES, "rules": {"share": 0.1, "otherwise": nothing}, "salt": salt},
        }
    )


def test_there_are_vectors_of_every_group_and_of_every_salt():
    assert len(VECTORS) == 12
    assert {vector["group"] for vector in VECTORS} == set(SHARES)
    assert {vector["salt"] for vector in VECTORS} == {"2026-spring", "2026-autumn", ""}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['salt']}-{vector['key']}")
def test_the_engine_assigns_what_the_page_says(vector):
    groups = catalogue(vector["salt"]).groups
    key = vector["key"]
    assert hashlib.blake2b(key.encode(), digest_size=8, key=vector["salt"].encode()).hexdigest() == vector["h"]
    assert float(groups.numbers([key])[0]) == float(vector["u"])
    assert groups.name_of(key) == groups.names[groups.assign([key])[0]] == vector["group"]


def test_the_recipe_on_the_page_gives_the_same():
    (recipe,) = [block for block in blocks(PAGE) if block.language == "python"]
    names = {}
    exec(compile(recipe.text, "groups.md", "exec"), names)  # noqa: S102 - it is our own page
    groups = catalogue("2026-spring").groups
    for key in [f"customer-{number}" for number in range(2_000)]:
        assert names["group_of"](key, "2026-spring", SHARES) == groups.name_of(key)


def test_the_last_vectors_are_customers_under_a_keyed_hash(tmp_path):
    """What the engine hashes is the customer as stored."""
    known = catalogue("2026-spring")
    with bandit.Engine.open(
        tmp_path / "o.db", known, bandit.Uniform(known), customer_key=b"a key for our tests"
    ) as engine:
        for name, vector in zip(("customer-42", "customer-17"), VECTORS[-2:], strict=True):
            assert engine.store.customers.stored(name) == vector["key"]
            assert engine.group_of(name) == engine.decide(name, {}).group == vector["group"]
