"""The examples in the docstrings of the package run and give what they show."""

import doctest
import importlib
import pkgutil

import pytest

import bandit

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(bandit.__path__, "bandit.") if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFER_BANDIT_KEY", "a key for our tests")
    module = importlib.import_module(name)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [test for test in finder.find(module, name) if test.examples]
    runner = doctest.DocTestRunner(optionflags=flags, verbose=False)
    for test in tests:
        runner.run(test)
    assert runner.failures == 0


def test_there_are_examples():
    """The negative control: the main calls show an example, so that the test above runs something."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name), name) if test.examples]
    assert len(found) >= 8
