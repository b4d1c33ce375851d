"""Small habits that must not lose anything: options given twice, a closed pipe, a read-only file, `:memory:`, JSON."""

import json
import os
import pickle
import shutil
import sqlite3
import stat
import subprocess
import sys

import pytest

import bandit
from bandit.cli import main
from bandit.errors import DuplicateError, StoreError
from bandit.governance.erasure import erase
from bandit.governance.verify import verify
from bandit.ope.numbers import NumberFormat
from bandit.store import Store, connection
from tests.conftest import SPRING

DAY = 86_400_000_000
START = 1_780_000_000_000_000

pytestmark = pytest.mark.filterwarnings("ignore:customers are stored in the clear")


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """The first 1,500 rows of the example of `init`, imported into a database."""
    folder = tmp_path_factory.mktemp("habits") / "example"
    assert main(["init", str(folder)]) == 0
    lines = (folder / "log.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "log.csv").write_text("".join(lines[:1_501]), encoding="utf-8")
    files = [str(folder / name) for name in ("offers.db", "log.csv", "catalogue.toml", "mapping.toml")]
    assert main(["import", *files[:2], "--catalogue", files[2], "--mapping", files[3]]) == 0
    return folder


@pytest.fixture
def campaign(imported, desk):
    """A copy of the imported example in the current folder."""
    for name in ("offers.db", "catalogue.toml", "rules.toml"):
        shutil.copy(imported / name, desk.folder / name)
    return desk


class TestTheCommandLine:
    @pytest.mark.parametrize("option", ["--policy", "--baseline", "--seed"])
    def test_an_option_that_has_one_value_is_refused_twice(self, campaign, option):
        """`--policy a --policy b` kept b and said nothing."""
        campaign.run("learn-offline", "offers.db", option, "1", option, "2")
        assert campaign.code == 2
        assert f"'{option}': it is given 2 times" in campaign.err

    def test_an_option_that_may_be_repeated_still_may(self, campaign):
        campaign.run("results", "offers.db", "--by", "option", "--fact", "gender", "--fact", "loyal", "--json")
        assert campaign.code in {0, 2}
        assert "given 2 times" not in campaign.err

    def test_a_reader_that_closes_the_pipe_is_no_fault(self, campaign):
        """As with `| head -1`: exit code 0, and no word."""
        program = (
            "import os, sys; from bandit.cli import main\n"
            "read, write = os.pipe(); os.dup2(write, 1); os.close(read)\n"
            "sys.exit(main(['results', 'offers.db']))"
        )
        ran = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stderr) == (0, "")

    @pytest.mark.parametrize(
        ("policy", "meant"), [("thomson", "thompson"), ("unifrom", "uniform"), ("rule:x.toml", "rules")]
    )
    def test_a_misspelt_policy_is_named(self, campaign, policy, meant):
        campaign.run("evaluate", "offers.db", "--policy", policy)
        assert campaign.code == 2
        assert f'did you mean "{meant}"?' in campaign.err

    def test_a_misspelt_dimension_and_option_are_named(self, campaign):
        campaign.run("evaluate", "offers.db", "--policy", "offer:discuont=10")
        assert campaign.code == 2
        assert 'did you mean "discount"?' in campaign.err


class TestFiles:
    def test_memory_is_no_file(self, desk, catalogue):
        with pytest.raises(StoreError, match="give a path such as offers"):
            bandit.Engine.open(":memory:", catalogue, bandit.Uniform(catalogue))
        assert list(desk.folder.iterdir()) == []

    def test_an_empty_file_is_called_empty(self, desk):
        desk.write("offers.db", "").run("status", "offers.db")
        assert desk.code == 2
        assert "is an empty file" in desk.err

    @pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
    def test_a_database_that_nobody_may_write_can_be_read(self, campaign, monkeypatch):
        """SQLite cannot make its shared file there; a user without privileges is what `ro` and a closed folder give."""
        path = campaign.folder / "kept" / "offers.db"
        path.parent.mkdir()
        path.write_bytes((campaign.folder / "offers.db").read_bytes())
        path.chmod(stat.S_IRUSR)
        path.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
        try:
            if os.access(path.parent, os.W_OK):  # a privileged user: SQLite is made to refuse
                real = sqlite3.connect

                def refusing(address, **options):
                    if "mode=ro" in address:
                        fault = sqlite3.OperationalError("attempt to write a readonly database")
                        fault.sqlite_errorcode = sqlite3.SQLITE_READONLY
                        raise fault
                    return real(address, **options)

                monkeypatch.setattr(connection.sqlite3, "connect", refusing)
            for command in (("evaluate", "--policy", "uniform"), ("doctor",), ("status",)):
                campaign.run(command[0], path, *command[1:])
                assert campaign.code == 0, campaign.err
        finally:
            path.parent.chmod(stat.S_IRWXU)


class TestNumbers:
    def test_a_huge_amount_is_written_short(self):
        assert NumberFormat(2).number(1e300) == "1e+300"
        assert NumberFormat(2).number(-123_456.789) == "-123,456.79"

    def test_amounts_that_differ_are_shown_with_the_digits_in_which_they_do(self, desk, catalogue):
        """52 and 52.0000001 were both shown as 52."""
        with bandit.Engine.open("offers.db", catalogue, bandit.Uniform(catalogue), seed=1) as engine:
            decision = engine.decide("a", {})
            engine.record(decision.decision_id, "purchase", revenue=52.0)
            with pytest.raises(DuplicateError, match=r"revenue 52 and was sent again as purchase, revenue 52\.0000001"):
                engine.record(decision.decision_id, "purchase", revenue=52.0000001)


class TestDecisions:
    def test_a_decision_and_a_batch_turn_into_json(self, desk, catalogue):
        with bandit.Engine.open("offers.db", catalogue, bandit.Uniform(catalogue), seed=1) as engine:
            decision = engine.decide("a", {"loyal": False})
            batch = engine.decide_batch(["b", "c"], [{"loyal": True}, {"loyal": False}])
        plain = json.loads(json.dumps(decision.to_dict()))
        assert plain["offer"] == dict(decision.offer)
        assert plain["reasons"] == [
            {"rule": 1, "reason": "margin floor", "n_offers": 0, "n_combinations": 2},
            {"rule": 2, "reason": "for the loyal", "n_offers": 4, "n_combinations": 0},
        ]
        assert json.loads(json.dumps(batch.to_dict()))["decision_ids"] == list(batch.decision_ids)
        assert [len(each.offers) for each in pickle.loads(pickle.dumps(decision)).reasons] == [0, 4]  # noqa: S301 - ours

    def test_rules_for_everybody_are_among_the_reasons(self, desk):
        """Rule 1 has no condition: it forbids 20 % with a tote by two channels, 2 combinations."""
        catalogue = bandit.Catalogue.from_dict(SPRING)
        with bandit.Engine.open("offers.db", catalogue, bandit.Uniform(catalogue), seed=1) as engine:
            (reason,) = engine.decide("a", {"loyal": True}).reasons
        assert (reason.rule, reason.reason, reason.offers, reason.combinations) == (1, "margin floor", (), 2)


def test_an_erasure_leaves_the_decisions_from_before_the_customer_to_verify(desk, catalogue):
    """Ten customers decide and are learned, then an eleventh, then ten more: with the eleventh erased, what was decided
    before its outcome was learned is computed again (10 + 1 less its own), and the others' eligible offers are."""
    clock = iter(range(START, START + 10**9, 1_000_000))

    def serve(engine, names):
        for name in names:
            decision = engine.decide(name, {"loyal": True})
            engine.record(decision.decision_id, "purchase", revenue=20.0)
        engine.learn()

    with bandit.Engine.open(
        "offers.db", catalogue, bandit.ThompsonSampling(catalogue), seed=1, clock=lambda: next(clock)
    ) as engine:
        serve(engine, [f"early-{i}" for i in range(10)])
        serve(engine, ["leaves"])
        serve(engine, [f"late-{i}" for i in range(10)])
    with Store.open("offers.db") as store:
        assert verify(store).n_recomputed == 21
        erase(store, "leaves")
        report = verify(store)
    assert report.problems == ()
    assert report.n_recomputed == 10
    assert any("10 decisions were made with states that an erasure" in note for note in report.notes)
