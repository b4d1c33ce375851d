"""One function a surface, from bytes to nothing; what it must not do is raise."""

import atexit
import json
import os
import shutil
import sqlite3
import tempfile
import warnings
from functools import cache
from pathlib import Path
from unittest import mock

import msgspec
import numpy as np

import bandit
from bandit.catalogue import Catalogue
from bandit.catalogue.conditions import compile_condition
from bandit.catalogue.context_json import contexts_json
from bandit.cli.policies import parse_json
from bandit.engine import Engine
from bandit.errors import OfferBanditError, PolicyError
from bandit.logfiles import LogMapping, export, import_log, open_log
from bandit.policies import SegmentRules, Uniform, build
from bandit.policies.state import pack, unpack
from bandit.policies.vw import VowpalWabbit
from bandit.policies.vw.workspace import Workspace
from bandit.store import Store
from bandit.store.customer_key import FILE_VARIABLE, customer_key
from bandit.store.spool.file import digest
from tests.fuzz import seeds
from tests.fuzz.limits import accepted, fit, in_time
from tests.fuzz.values import NUMBERS, TIMES, Given

CATALOGUE = seeds.CATALOGUE
RENEWED = 500
"""Uses after which a database that targets share is begun anew."""


@cache
def place():
    """A directory of this process, in memory where the system has such."""
    room = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
    path = Path(tempfile.mkdtemp(prefix=f"fuzz-{os.getpid()}-", dir=room))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def _file(name, data):
    path = place() / name
    path.write_bytes(data)
    return path


def _three():
    return CATALOGUE.contexts([{"gender": "f", "recency": 1.0, "loyal": True}, {}, {"gender": "x", "recency": -1e300}])


def catalogue(data):
    with in_time(), accepted():
        read = Catalogue.from_toml(_file("catalogue.toml", data))
        assert Catalogue.from_dict(read.to_dict()).version == read.version
        read.eligible(read.contexts([{}]))


def condition(data):
    with in_time(), accepted():
        compiled = compile_condition(data.decode("utf-8", "surrogateescape"), CATALOGUE.facts, "here")
        held = compiled(_three())
        assert held.shape == (3,)
        assert held.dtype == np.bool_


def segment_rules(data):
    with in_time(), accepted():
        rules = SegmentRules.from_toml(CATALOGUE, _file("rules.toml", data))
        chance = rules.probabilities(_three(), np.ones((3, CATALOGUE.n_offers), dtype=np.bool_), None)
        assert np.allclose(chance.sum(axis=1), 1.0)


def mapping(data):
    log = _file("mapped.csv", seeds.rows().encode())
    with in_time(), accepted():
        open_log(log, CATALOGUE, LogMapping.from_toml(_file("mapping.toml", data)))


@cache
def _store():
    return Store.open(place() / "imported.db", durability="process")


class _UndoError(Exception):
    """Takes back what an import wrote."""


def _bring(path, using):
    """Read a log without a database and with one; the second must write nothing where it refuses."""
    with in_time(), accepted():
        list(open_log(path, CATALOGUE, using).batches())
    store = _store()
    try:
        with store.transaction():
            try:
                with in_time():
                    report = import_log(store, CATALOGUE, using, path)
                for refusal in report.refused:
                    fit(refusal.reason)
            except OfferBanditError as fault:
                fit(str(fault))
                counts = store.counts()
                assert (counts.decisions, counts.events, counts.catalogues) == (0, 0, 0)
            raise _UndoError
    except _UndoError:
        pass


def csv(data):
    _bring(_file("log.csv", data), LogMapping.from_dict(seeds.MAPPING))


def parquet(data):
    _bring(_file("log.parquet", data), LogMapping.from_dict(seeds.MAPPING))


def dsjson(data):
    _bring(_file("log.dsjson", data), LogMapping.from_dict(seeds.DSJSON_MAPPING))


def json_context(data):
    text = data.decode("utf-8", "surrogateescape")
    with in_time(), accepted():
        checked = CATALOGUE.contexts([parse_json(text, "the context")])
        (written,) = contexts_json(CATALOGUE.facts, checked)
        again = CATALOGUE.contexts([msgspec.json.decode(written, type=dict[str, object])])
        assert contexts_json(CATALOGUE.facts, again) == [written]


MOMENT = 1_764_000_000_000_000
"""2025-11-24 16:00 UTC, in microseconds."""


class _Served:
    """An engine that is begun anew from time to time."""

    def __init__(self):
        self.used = 0
        self.engine = None

    def get(self):
        if self.engine is None or self.used % RENEWED == 0:
            if self.engine is not None:
                self.engine.close()
            folder = place() / "served"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            policy = Uniform(CATALOGUE)
            self.engine = Engine.open(folder / "offers.db", CATALOGUE, policy, seed=1, durability="process", sync=None)
            self.engine.decide("anna", {}, decision_id="d1", time=MOMENT)
        self.used += 1
        return self.engine


_served = _Served()


def facts(data):
    given, engine = Given(data), _served.get()
    context = {"gender": given.value(), "recency": given.value(), "loyal": given.value()}
    if given.byte() > 200:
        context[given.name()] = given.value()
    before = engine.store.decisions.last_seq()
    with in_time():
        try:
            decided = engine.decide("anna", context, time=given.one_of(TIMES))
            assert decided.logged
            assert decided.fault is None, decided.fault
        except OfferBanditError as fault:
            fit(str(fault))
            assert engine.store.decisions.last_seq() == before, "something was written on refusal"


def events(data):
    given, engine = Given(data), _served.get()
    decision_id = "d1" if given.byte() < 200 else given.name()
    before = engine.store.counts().events
    with in_time(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of names that convert nothing
        try:
            engine.record(
                decision_id,
                given.name(),
                revenue=given.one_of((None, *NUMBERS)),
                reward=given.one_of((None, *NUMBERS)),
                time=given.one_of(TIMES),
                event_id=given.one_of((None, given.name())),
                correct=given.byte() % 2 == 0,
            )
            engine.store.decisions.events_of("d1")
        except OfferBanditError as fault:
            fit(str(fault))
            assert engine.store.counts().events == before, "something was written on refusal"


def names(data):
    """Customers and decision ids go in and come back as they were."""
    given, engine = Given(data), _served.get()
    decision_id, customer = given.name(), given.name()
    before = engine.store.decisions.last_seq()
    with in_time():
        try:
            engine.decide(customer, {}, decision_id=decision_id)
            (stored,) = engine.store.decisions.one(decision_id, "purchase", 0).customer
            assert stored == customer
            assert engine.store.decisions.of_customer(customer).size
        except OfferBanditError as fault:
            fit(str(fault))
            assert engine.store.decisions.last_seq() == before, "something was written on refusal"


def _asked(policy):
    """A policy that took bytes answers soundly, or says that it cannot."""
    try:
        eligible = np.ones((3, policy.catalogue.n_offers), dtype=np.bool_)
        chance = policy.probabilities(_three(), eligible, np.random.default_rng(1))
    except (PolicyError, np.linalg.LinAlgError) as fault:  # the engine serves the fallback then
        if not str(fault):
            raise
        return
    assert chance.shape == eligible.shape


def policy_bytes(data):
    """Whole states with bytes changed: the first byte says which policy gets the others."""
    if not data:
        return
    policy, sound = seeds.learned()[data[0] % len(seeds.learned())]
    with in_time(), accepted():
        policy.loads(data[1:])
        _asked(policy)
    policy.loads(sound)


def policy_arrays(data):
    """States packed as they should be whose content was changed; Vowpal Wabbit's model is left as it is."""
    given = Given(data)
    policy, sound = given.one_of(seeds.learned())
    meta, arrays = unpack(sound)
    for _ in range(1 + given.byte() % 3):
        if given.byte() % 4 == 0:
            key = given.one_of(sorted(meta))
            if key != "kind":
                meta[key] = given.one_of((given.one_of(NUMBERS[:5]), None, [], {}, "x", [1, 2], given.rest()))
            continue
        names_known = sorted(name for name in arrays if name != "model")
        if not names_known:
            continue
        name = given.one_of(names_known)
        array = arrays[name]
        match given.byte() % 5:
            case 0:
                arrays[name] = array[: len(array) // 2]
            case 1:
                arrays[name] = np.zeros((3, 3))
            case 2:
                arrays[name] = array.astype(np.str_)
            case 3:
                del arrays[name]
            case _:
                flat = bytearray(np.ascontiguousarray(array).tobytes())
                for _ in range(1 + given.byte() % 16):
                    if flat:
                        flat[(given.byte() * 256 + given.byte()) % len(flat)] ^= given.byte()
                arrays[name] = np.frombuffer(bytes(flat), array.dtype).reshape(array.shape)
    state = pack(json.loads(json.dumps(meta, default=str)) if _plain(meta) else {}, arrays)
    with in_time(), accepted():
        policy.loads(state)
        _asked(policy)
    policy.loads(sound)


def _plain(meta):
    try:
        msgspec.json.encode(meta)
    except (UnicodeEncodeError, OverflowError):
        return False
    return True


def vw_model(data):
    """Model files of Vowpal Wabbit; it runs in this process, so that it takes the process along where it crashes."""
    with in_time(), accepted():
        opened = Workspace("--cb_explore_adf --cb_type mtr", data)
        opened.close()


def policy_spec(data):
    """Descriptions of policies as the database has them; Vowpal Wabbit's are left out, which print and allocate."""
    try:
        spec = msgspec.json.decode(data, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    if str(spec.get("kind")).startswith("vw"):
        return
    with in_time(), accepted():
        policy = build(CATALOGUE, spec)
        policy.spec()


_TEXTS = (
    ("catalogues", "content"), ("catalogues", "name"), ("policies", "spec"), ("decisions", "context"),
    ("decisions", "decision_id"), ("decisions", "grp"), ("decisions", "seed"), ("decisions", "batch"),
    ("decisions", "fault"), ("customers", "key"), ("events", "event"), ("events", "event_id"), ("offers", "options"),
    ("policy_steps", "state_hash"), ("meta", "value"), ("snapshots", "state"), ("leases", "owner"),
)  # fmt: skip


@cache
def _stored():
    """The bytes of a small database with something of everything, and without the guards against change."""
    path = place() / "whole.db"
    policy = bandit.ThompsonSampling(CATALOGUE, draws=8)
    with Engine.open(path, CATALOGUE, policy, seed=1, durability="process", sync=None) as engine:
        for number in range(8):
            decided = engine.decide(f"c{number}", {"gender": "f"}, time=MOMENT + number)
            engine.record(decided.decision_id, "purchase", revenue=2.0, time=MOMENT + number)
        engine.learn(now=10**15)
    raw = sqlite3.connect(path)
    for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        raw.execute(f'DROP TRIGGER "{name}"')
    raw.commit()
    raw.execute("PRAGMA journal_mode = DELETE")
    raw.close()
    return path.read_bytes()


def stored_text(data):
    """A database somebody else wrote to: any text in any column of texts."""
    given = Given(data)
    table, column = given.one_of(_TEXTS)
    as_bytes = given.byte() % 4 == 0
    text = given.name()
    value = text.encode("utf-8", "surrogateescape" if text.isascii() else "surrogatepass")
    _used_with(table, column, "?" if as_bytes else "CAST(? AS TEXT)", value)


def stored_number(data):
    """A database somebody else wrote to: any number in any column of numbers, leases among them."""
    given = Given(data)
    table, column = given.one_of(_numeric_columns())
    number = given.one_of([each for each in NUMBERS if -(2**63) <= each < 2**63 or isinstance(each, float)])
    _used_with(table, column, "?", float(number) if given.byte() % 4 == 0 else _plain_number(number))


def _plain_number(number):
    return float(number) if isinstance(number, (float, np.floating)) else int(number)


@cache
def _numeric_columns():
    path = place() / "columns.db"
    path.write_bytes(_stored())
    raw = sqlite3.connect(path)
    tables = [name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = [
        (table, row[1])
        for table in tables
        if raw.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608 - names of our own tables
        for row in raw.execute(f'PRAGMA table_info("{table}")')
        if row[2] in {"INTEGER", "REAL"}
    ]
    raw.close()
    return found


def _used_with(table, column, change, value):
    """Write a value into the first row of a table behind the guards, and do with the database what can be done."""
    folder = place() / "stored"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "offers.db"
    path.write_bytes(_stored())
    raw = sqlite3.connect(path)
    try:
        key = raw.execute(f'SELECT name FROM pragma_table_info("{table}") WHERE pk = 1').fetchone()[0]  # noqa: S608
        raw.execute(
            f'UPDATE "{table}" SET "{column}" = {change} WHERE "{key}" = (SELECT "{key}" FROM "{table}" LIMIT 1)',  # noqa: S608
            (value,),
        )
        raw.commit()
    except sqlite3.Error:  # a check or a type of the schema has kept it out
        return
    finally:
        raw.close()
    with in_time():
        with accepted(), Engine.resume(path, durability="process", sync=None) as engine:
            with accepted():
                engine.decide("c1", {"gender": "f"})
            with accepted():
                engine.learn(now=10**15)
            with accepted():
                engine.verify()
        with accepted(), Store.open(path, durability="process") as store:
            with accepted():
                store.decisions.customers_by_group()
            with accepted():
                export(store, CATALOGUE, folder / "out.csv", include_open=True, force=True)


def key_file(data):
    """The file of the customer key."""
    path = _file("key", data)
    path.chmod(0o600)
    with in_time(), accepted(), mock.patch.dict(os.environ, {FILE_VARIABLE: str(path)}, clear=True):
        key = customer_key()
        database = place() / "keyed.db"
        database.unlink(missing_ok=True)
        with Store.open(database, customer_key=key, durability="process") as store:
            assert store.customers.stored("anna") != "anna"


def vw_arguments(data):
    """Arguments of Vowpal Wabbit, which runs in this process and must neither read files, print, hang nor end it."""
    with in_time(), accepted():
        policy = VowpalWabbit(CATALOGUE, args=data.decode("utf-8", "surrogateescape"))
        _asked(policy)


def spool(data):
    """A file beside the database with lines that somebody else wrote, hashed as they should be and not."""
    folder = place() / "spooled"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "offers.db"
    path.write_bytes(_stored())
    lines = b"".join(digest(line) + b" " + line + b"\n" for line in data.split(b"\n"))
    (folder / "offers.db-spool-1-ab").write_bytes(lines)
    (folder / "offers.db-spool-2-cd").write_bytes(data)
    with in_time(), accepted(), Store.open(path, durability="process") as store:
        folded = store.fold_spools()
        assert folded.left == 0


TARGETS = {
    "catalogue": (catalogue, seeds.catalogues),
    "condition": (condition, seeds.conditions),
    "segment_rules": (segment_rules, seeds.segment_rules),
    "mapping": (mapping, seeds.mappings),
    "csv": (csv, seeds.csvs),
    "parquet": (parquet, seeds.parquets),
    "dsjson": (dsjson, seeds.dsjsons),
    "json_context": (json_context, seeds.contexts),
    "facts": (facts, seeds.bytes_of_values),
    "events": (events, seeds.bytes_of_values),
    "names": (names, seeds.bytes_of_values),
    "policy_bytes": (policy_bytes, seeds.states),
    "policy_arrays": (policy_arrays, seeds.edits),
    "policy_spec": (policy_spec, seeds.specs),
    "vw_model": (vw_model, seeds.models),
    "stored_text": (stored_text, seeds.bytes_of_values),
    "spool": (spool, seeds.spool_lines),
    "stored_number": (stored_number, seeds.bytes_of_values),
    "key_file": (key_file, seeds.keys),
    "vw_arguments": (vw_arguments, seeds.vw_arguments),
}
"""What is fuzzed, with the inputs that it begins from."""
