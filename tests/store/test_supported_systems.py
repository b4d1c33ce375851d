"""Systems without what a store needs: one sentence at opening, and everything else can be imported."""

import os
import subprocess
import sys
import textwrap

import pytest

import bandit
from bandit.errors import StoreError
from bandit.store import Store
from bandit.store.supported_systems import missing_calls


def test_this_system_has_what_a_store_needs():
    assert missing_calls() == ()


@pytest.mark.parametrize("call", ["pread", "pwrite", "register_at_fork"])
def test_a_store_is_refused_in_one_sentence_where_a_call_is_missing(call, tmp_path, monkeypatch):
    monkeypatch.delattr(os, call)
    with pytest.raises(StoreError, match=f"cannot be used on this system .*lacks os.{call}; use Linux"):
        Store.open(tmp_path / "offers.db", customer_key=b"key")
    assert not (tmp_path / "offers.db").exists()


def test_a_store_is_refused_where_files_cannot_be_locked(tmp_path, monkeypatch):
    """Python on Windows has no fcntl; an engine says so as its store does, and makes no file."""
    monkeypatch.delitem(sys.modules, "fcntl")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    catalogue = bandit.Catalogue.from_dict({"dimensions": [{"name": "gift", "options": [{"name": "tote"}]}]})
    with pytest.raises(StoreError, match="lacks fcntl; use Linux, on Windows by WSL or a container"):
        bandit.Engine.open(tmp_path / "offers.db", catalogue, bandit.Uniform(catalogue), customer_key=b"key")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_where_fcntl_and_positioned_writes_are_missing_the_package_is_imported_and_the_command_says_why(tmp_path):
    """A process that is made to look like one on Windows: every module of the package, then a command."""
    path = tmp_path / "offers.db"
    path.touch()
    script = """
        import asyncio, importlib, numpy, os, pkgutil, sqlite3, subprocess, sys, sysconfig, tempfile, uuid
        import multiprocessing.connection
        import msgspec, rich.console, scipy.optimize, scipy.special, scipy.stats, sqlite_utils, typer, vowpalwabbit

        class NoLocks:
            def find_spec(self, name, *rest):
                if name == "fcntl":
                    raise ModuleNotFoundError(name)

        sys.modules.pop("fcntl", None)
        sys.meta_path.insert(0, NoLocks())
        for name in ("pread", "pwrite", "register_at_fork", "fork"):
            delattr(os, name)
        sys.platform = "win32"
        import bandit, bandit.errors
        for found in pkgutil.walk_packages(bandit.__path__, "bandit."):
            if not found.name.startswith(("bandit.report", "bandit.cli.__main__")):
                importlib.import_module(found.name)
        from bandit.cli import main
        catalogue = bandit.Catalogue.from_dict({"dimensions": [{"name": "gift", "options": [{"name": "tote"}]}]})
        try:
            bandit.Engine.open(sys.argv[1], catalogue, bandit.Uniform(catalogue), customer_key=b"key")
        except bandit.errors.StoreError as fault:
            print(fault)
        sys.argv = ["offer-bandit", "status", sys.argv[1]]
        sys.exit(main())
    """
    done = subprocess.run(  # noqa: S603 - this interpreter and the script above
        [sys.executable, "-c", textwrap.dedent(script), str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr[-2_000:]
    assert "cannot be used on this system (win32)" in done.stdout
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "on Windows by WSL" in " ".join(done.stderr.split())
    assert path.read_bytes() == b""
