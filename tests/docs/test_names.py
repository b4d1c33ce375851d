"""Names: one word means one thing, folders are layers, and the table of layers is that of the linter."""

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bandit", "simulator")
AT_THE_ROOT = {"__init__", "_version", "clock", "decide", "errors", "lazy", "printable", "tabular"}
"""Modules that stand beside the folders: each is imported by three folders and more."""


def public_names(source):
    """The public classes and constants of a module's text, each with what it is."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and re.fullmatch(r"[A-Z][A-Z0-9_]*", target.id):
                yield target.id


def shared_names(sources):
    """The names that more than one of {path: text} defines, with the paths."""
    found = defaultdict(list)
    for path, source in sources.items():
        for name in public_names(source):
            found[name].append(path)
    return {name: paths for name, paths in found.items() if len(paths) > 1}


def test_no_two_public_classes_or_constants_have_the_same_name():
    sources = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }
    assert len(sources) > 200
    assert shared_names(sources) == {}


def test_a_name_given_twice_is_found():
    """The negative control: a class and a constant that stand in two modules; private names may."""
    first = "LIMIT = 1\n_OWN = 2\nclass Row: ...\nclass _Row: ...\n"
    second = "LIMIT: int = 3\n_OWN = 4\nclass Row: ...\nclass _Row: ...\n"
    assert shared_names({"a": first, "b": second}) == {"LIMIT": ["a", "b"], "Row": ["a", "b"]}


def test_only_modules_that_many_folders_import_stand_beside_the_folders():
    assert {path.stem for path in (ROOT / "bandit").glob("*.py")} == AT_THE_ROOT
    assert {path.stem for path in (ROOT / "simulator").glob("*.py")} == {"__init__"}


def layers():
    """The layers of pyproject.toml, top first, as rows of names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = [each for each in project["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    return [[name.removeprefix("bandit.") for name in row.split(" | ")] for row in contract["layers"]]


def test_every_folder_and_module_is_in_a_layer():
    parts = {
        path.stem for path in (ROOT / "bandit").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert parts - {"__init__", "_version"} == {name for row in layers() for name in row} - {"simulator"}


@pytest.mark.parametrize("path", ["README.md", "docs/explanation/how-it-works.md"])
def test_the_table_of_layers_is_that_of_the_linter(path):
    """Each row begins with the names of one layer in backticks: | `cli` | ... |. The README may leave the table out."""
    table = re.search(r"\| layer \|.*\n\|[-| ]+\n((?:\|.*\n)+)", (ROOT / path).read_text(encoding="utf-8"))
    if table is None and path == "README.md":
        return
    assert [re.findall(r"`([\w/]+)`", row.split("|")[1]) for row in table[1].splitlines()] == layers()
