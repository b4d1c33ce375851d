"""Public names are imported when they are first used, and all of them are there."""

import importlib
import subprocess
import sys

import pytest

import bandit
from bandit.lazy import lazy_exports

LAZY = ("bandit", "bandit.policies")
HEAVY = ("numpy", "scipy", "vowpalwabbit", "pyarrow", "sqlite_utils", "msgspec", "rich")


def loaded_after(code, *names):
    """Which of the named modules a fresh interpreter has after running the code."""
    seen = f"import sys\n{code}\nprint(*(name for name in {names!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.splitlines()[-1].split()


@pytest.mark.parametrize("package", LAZY)
def test_every_public_name_resolves_and_is_listed(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module)


def test_importing_the_package_loads_no_library():
    assert loaded_after("import bandit", *HEAVY) == []


def test_the_estimators_are_reached_through_the_package():
    assert loaded_after("import bandit; bandit.ope.estimate", "bandit.ope", "vowpalwabbit") == ["bandit.ope"]


def test_a_policy_without_vowpal_wabbit_does_not_load_it():
    code = "from bandit.policies import ThompsonSampling, VowpalWabbit, build"
    assert loaded_after(code, "vowpalwabbit", "scipy.optimize") == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'bandit' has no attribute 'Bandit'"):
        _ = bandit.Bandit


def test_a_name_is_kept_after_its_first_use(monkeypatch):
    monkeypatch.delitem(vars(bandit), "Uniform", raising=False)
    load, names = lazy_exports("bandit", {"Uniform": "bandit.policies.uniform"})
    assert "Uniform" in names()
    assert load("Uniform") is vars(bandit)["Uniform"]
