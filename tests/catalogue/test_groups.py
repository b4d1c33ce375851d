"""Groups: a documented hash assigns them, in the declared shares and independently under each salt."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, chi2_contingency

import bandit
from bandit.errors import CatalogueError

ROOT = Path(__file__).resolve().parents[2]
NOTHING = {"discount": "0", "channel": "email", "gift": "none"}
RULES = {"segments": [{"when": "loyal", "offer": NOTHING | {"discount": "10"}}], "otherwise": NOTHING}
GROUPS = {
    "policy": 0.80,
    "rules": {"share": 0.10, **RULES},
    "random": 0.05,
    "holdout": {"share": 0.05, "offer": "fallback"},
    "salt": "2026-spring",
}
SHARES = np.array([0.80, 0.10, 0.05, 0.05])
SALTS = [f"salt {number}" for number in range(10)]


def with_groups(mapping, **changes):
    groups = {key: value for key, value in (GROUPS | changes).items() if value is not None}
    return bandit.Catalogue.from_dict(mapping | {"groups": groups})


def customers(n):
    return [f"customer-{number}" for number in range(n)]


def fit(codes, shares):
    """Pearson's chi-square of the counts of groups against their shares."""
    expected = len(codes) * shares
    return float((((np.bincount(codes, minlength=len(shares)) - expected) ** 2) / expected).sum())


class TestAssignment:
    def test_shares_are_met_under_ten_salts(self, spring):
        """20,000 customers: a chi-square of 3 degrees a salt; one in 10,000 salts is beyond 21.1, and their sum over
        10 salts has 30 degrees. The control counts against shares that are two points off: 20,000 x (.02^2 / .78 +
        .02^2 / .12) = 77 beyond what chance gives."""
        keys = customers(20_000)
        seen = [fit(with_groups(spring, salt=salt).groups.assign(keys), SHARES) for salt in SALTS]
        assert max(seen) < chi2.isf(1e-4, 3)
        assert chi2.isf(0.999, 30) < sum(seen) < chi2.isf(0.001, 30)
        wrong = SHARES + np.array([-0.02, 0.02, 0.0, 0.0])
        assert all(fit(with_groups(spring, salt=salt).groups.assign(keys), wrong) > chi2.isf(1e-4, 3) for salt in SALTS)

    def test_groups_under_one_salt_say_nothing_about_those_under_another(self, spring):
        """4 x 4 tables of the 45 pairs of 10 salts: 9 degrees each, the worst of 45 at 1e-6 a pair. The control is a
        salt beside itself with one customer in ten dealt anew."""
        keys = customers(20_000)
        dealt = [with_groups(spring, salt=salt).groups.assign(keys) for salt in SALTS]

        def dependence(one, other):
            table = np.zeros((4, 4))
            np.add.at(table, (one, other), 1)
            return chi2_contingency(table).pvalue

        pairs = [dependence(dealt[i], dealt[j]) for i in range(10) for j in range(i)]
        assert min(pairs) > 1e-6
        assert 0.2 < np.median(pairs) < 0.8
        mostly_kept = np.where(np.arange(20_000) % 10 == 0, dealt[1], dealt[0])
        assert dependence(dealt[0], mostly_kept) < 1e-6

    def test_neighbouring_keys_are_dealt_independently(self, spring):
        """Customers k and k + 1: the pairs of groups are as many as the shares' products."""
        codes = with_groups(spring).groups.assign(customers(40_001))
        table = np.zeros((4, 4))
        np.add.at(table, (codes[:-1], codes[1:]), 1)
        assert chi2_contingency(table).pvalue > 1e-4
        np.add.at(table, (codes[:4_000], codes[:4_000]), 1)  # the control: 4,000 more that equal their neighbour
        assert chi2_contingency(table).pvalue < 1e-4

    def test_the_hash_is_the_documented_one(self, spring):
        """By integers alone: floor(h / 2^11) against the shares times 2^53, which are exact here (quarters)."""
        groups = with_groups(spring, policy=0.25, rules={"share": 0.25, **RULES}, random=0.25, holdout=0.25).groups
        for key in customers(300):
            h = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8, key=b"2026-spring").digest(), "big")
            assert groups.name_of(key) == groups.names[(h >> 11) * 4 >> 53]

    @given(st.lists(st.text(min_size=1).filter(lambda text: text.isprintable()), max_size=20))
    def test_one_by_one_is_as_many_at_once(self, keys):
        groups = with_groups({"dimensions": SPRING_DIMENSIONS, "fallback": NOTHING}, rules=None, policy=0.9).groups
        assert [groups.name_of(key) for key in keys] == [groups.names[code] for code in groups.assign(keys)]

    def test_another_process_assigns_the_same(self, spring):
        program = (
            "import json, sys, bandit; c = bandit.Catalogue.from_dict(json.load(sys.stdin)); "
            "print(*[c.groups.name_of(f'customer-{n}') for n in range(500)])"
        )
        catalogue = with_groups(spring)
        text = json.dumps(catalogue.to_dict())
        for seed in ("0", "1"):  # of Python's own hashes, which must not matter
            ran = subprocess.run(  # noqa: S603 - our own interpreter
                [sys.executable, "-c", program],
                input=text, capture_output=True, text=True, check=True, cwd=ROOT,
                env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            )  # fmt: skip
            assert ran.stdout.split() == [catalogue.groups.name_of(key) for key in customers(500)]

    def test_rounding_of_the_sum_leaves_nobody_out(self, spring):
        """.7 + .2 + .1 is 0.9999999999999999 in doubles; the last group with a share ends at 1 all the same, and the
        groups after it, with a share of 0, stay empty."""
        assert 0.7 + 0.2 + 0.1 < 1.0
        groups = with_groups(spring, policy=0.7, rules={"share": 0.2, **RULES}, random=0.1, holdout=0.0).groups
        assert groups.levels == (0.7, 0.7 + 0.2, 1.0, 1.0)
        assert groups.names == ("policy", "rules", "random", "holdout")
        assert set(groups.assign(customers(3_000)).tolist()) == {0, 1, 2}

    def test_nobody_at_all_is_an_empty_column(self, spring):
        assert with_groups(spring).groups.assign([]).tolist() == []


SPRING_DIMENSIONS = [
    {"name": "discount", "options": [{"name": "0"}, {"name": "10"}]},
    {"name": "channel", "options": [{"name": "email"}]},
    {"name": "gift", "options": [{"name": "none"}]},
]


class TestContent:
    def test_a_catalogue_without_groups_keeps_its_version(self, spring):
        """The hash that version 0.4.0 computes for the same content."""
        catalogue = bandit.Catalogue.from_dict(spring)
        assert catalogue.version == "99cddafde506982e"
        assert "groups" not in catalogue.to_dict()
        assert catalogue.groups is None

    def test_groups_round_trip_and_are_part_of_the_version(self, spring):
        one = with_groups(spring)
        again = bandit.Catalogue.from_dict(one.to_dict())
        assert (again.version, again.groups) == (one.version, one.groups)
        versions = {one.version, bandit.Catalogue.from_dict(spring).version}
        versions |= {with_groups(spring, **change).version for change in ({"salt": "x"}, {"teach": False})}
        assert len(versions) == 4

    def test_a_file_of_rules_is_found_from_the_catalogues_folder_and_embedded(self, spring, tmp_path, monkeypatch):
        folder = tmp_path / "campaign"
        folder.mkdir()
        (folder / "rules.toml").write_text(
            '[[segments]]\nwhen = "loyal"\noffer = { discount = "10", channel = "email", gift = "none" }\n'
            '[otherwise]\ndiscount = "0"\nchannel = "email"\ngift = "none"\n'
        )
        path = folder / "catalogue.toml"
        path.write_text(CATALOGUE)
        monkeypatch.chdir(tmp_path)
        read = bandit.Catalogue.from_toml("campaign/catalogue.toml")
        (folder / "rules.toml").unlink()
        again = bandit.Catalogue.from_dict(read.to_dict())
        assert (again.version, again.groups) == (read.version, read.groups)
        assert "from" not in read.to_dict()["groups"]["rules"]
        inline = {key: value for key, value in GROUPS.items() if key in {"policy", "salt"}}
        inline |= {"policy": 0.9, "rules": {"share": 0.1, **RULES}}
        assert bandit.Catalogue.from_dict({**read.to_dict(), "groups": inline}).groups == read.groups

    def test_what_teaches(self, spring):
        every = ("policy", "rules", "random", "holdout")
        assert with_groups(spring).groups.silent == ()
        assert with_groups(spring, teach=True).groups.teaching == every
        assert with_groups(spring, teach=False).groups.silent == every[1:]
        assert with_groups(spring, teach=["random", "policy"]).groups.silent == ("rules", "holdout")

    def test_a_holdout_may_be_a_share_alone_or_name_its_offer(self, spring):
        assert with_groups(spring, holdout=0.05).groups.holdout == bandit.Catalogue.from_dict(spring).fallback
        offer = NOTHING | {"channel": "sms"}
        catalogue = with_groups(spring, holdout={"share": 0.05, "offer": offer})
        assert catalogue.offer(catalogue.groups.holdout) == offer


CATALOGUE = """
[context]
loyal = { type = "boolean" }
[[dimensions]]
name = "discount"
options = [ { name = "0" }, { name = "10" } ]
[[dimensions]]
name = "channel"
options = [ { name = "email" } ]
[[dimensions]]
name = "gift"
options = [ { name = "none" } ]
[groups]
policy = 0.9
rules = { share = 0.1, from = "rules.toml" }
salt = "2026-spring"
"""


class TestRefused:
    """Each with one sentence that says what was seen."""

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"policy": 0.7}, r"shares must sum to 1, not 0\.9 \(policy = 0\.7, rules = 0\.1"),
            ({"policy": float("nan")}, "policy: the share of a group is between 0 and 1; seen nan"),
            ({"policy": 1.1, "random": -0.25}, "policy: the share of a group is between 0 and 1"),
            ({"control": 0.1}, 'unknown key "control"; groups are policy, rules, random, holdout'),
            ({"rules": 0.1}, "rules = 0.1 names no rules; write rules = { share = 0.1, from ="),
            ({"rules": {"share": 0.1, "from": "rules.toml"}}, "from is read with a catalogue file only"),
            ({"rules": {"share": 0.1, **RULES, "exploration": 2.0}}, "exploration is a share between 0 and 1; seen 2"),
            ({"rules": {"share": 0.1, **RULES, "chance": 0.1}}, "unknown field `chance`"),
            ({"rules": {"share": 0.1, "otherwise": NOTHING | {"gift": "car"}}}, r'rules: otherwise: "car" is not an'),
            (
                {"rules": {"share": 0.1, "segments": [{"when": "age > 3", "offer": NOTHING}]}},
                "rules: segment 1.*age",
            ),
            ({"rules": RULES}, "missing required field `share`"),
            (
                {"holdout": {"share": 0.05, "offer": "nothing"}},
                'is "fallback" or one option of each dimension; seen "no',
            ),
            ({"holdout": {"share": 0.05, "offer": {"discount": "0"}}}, r"holdout: an offer names one option of each"),
            ({"salt": "x" * 65}, "salt has at most 64 bytes; seen 65"),
            ({"salt": "a\0b"}, "zero character"),
            ({"salt": 7}, r"Expected `str`, got `int` - at `\$.groups.salt`"),
            ({"teach": []}, "teach is an empty list"),
            ({"teach": ["rules", "control"]}, 'teach names "control", which is not a declared group'),
            ({"teach": "rules"}, r"groups.teach"),
        ],
    )
    def test_what_does_not_fit(self, spring, changes, sentence):
        with pytest.raises(CatalogueError, match=sentence) as caught:
            with_groups(spring, **changes)
        assert "\n" not in str(caught.value)

    def test_groups_without_any_group(self, spring):
        with pytest.raises(CatalogueError, match=r"shares must sum to 1, not 0 \(no group\)"):
            bandit.Catalogue.from_dict(spring | {"groups": {"salt": "s"}})

    def test_a_holdout_without_a_fallback(self, spring):
        del spring["fallback"]
        with pytest.raises(CatalogueError, match=r"there is no \[fallback\]; declare one"):
            with_groups(spring)
        assert with_groups(spring, holdout={"share": 0.05, "offer": NOTHING}).groups.holdout == 0

    @pytest.mark.parametrize(
        ("rules", "file", "sentence"),
        [
            ('{ share = 0.1, from = "none.toml" }', "", r"none.toml: cannot be read"),
            ('{ share = 0.1, from = "rules.toml" }', "segments = 3", r"rules.toml: Expected `array`"),
            ('{ share = 0.1, from = "rules.toml" }', "share = 0.1", r"rules.toml: .*unknown field `share`"),
            ('{ share = 0.1, from = "rules.toml" }', "segments = [", r"rules.toml: is not well-formed TOML"),
            ('{ share = 0.1, from = "rules.toml" }', "exploration = 0.1", "there is no segment, no `otherwise`"),
            ('{ share = 0.1, from = "rules.toml", exploration = 0.1 }', "", "has both from and exploration"),
            ("{ share = 0.1, from = 3 }", "", "from is the path of a file of segment rules; seen 3"),
        ],
    )
    def test_a_file_of_rules_that_does_not_fit(self, tmp_path, rules, file, sentence):
        (tmp_path / "rules.toml").write_text(file)
        path = tmp_path / "catalogue.toml"
        path.write_text(CATALOGUE.replace('{ share = 0.1, from = "rules.toml" }', rules))
        with pytest.raises(CatalogueError, match=sentence):
            bandit.Catalogue.from_toml(path)
