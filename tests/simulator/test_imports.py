"""What the wheel leaves out is imported by nothing that is in it, and the engine imports no simulator."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = ("simulator.bench", "simulator.validation")
"""Packages that stay in the repository."""


def imported(path):
    """The modules that a file imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def within(module, packages):
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize(
    ("part", "apart_from", "forbidden"), [("bandit", (), ("simulator",)), ("simulator", LEFT_OUT, LEFT_OUT)]
)
def test_no_module_imports_what_is_not_installed_with_it(part, apart_from, forbidden):
    sources = [
        path
        for path in (ROOT / part).rglob("*.py")
        if not within(".".join(path.relative_to(ROOT).with_suffix("").parts), apart_from)
    ]
    assert sources
    assert {
        str(path): names
        for path in sources
        if (names := {module for module in imported(path) if within(module, forbidden)})
    } == {}


def test_a_forbidden_import_would_be_seen():
    """The benchmarks import each other."""
    found = imported(ROOT / "simulator" / "bench" / "__main__.py")
    assert "simulator.bench.commands" in {module for module in found if within(module, LEFT_OUT)}
