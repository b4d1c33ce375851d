"""No code comes in with data: a policy's state is never a pickle, and nothing is evaluated, looked at in the source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for part in ("bandit", "simulator") for path in (ROOT / part).rglob("*.py"))

REFUSED_MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "joblib",
    "cloudpickle",
    "copyreg",
    "code",
}
REFUSED_CALLS = {"eval", "exec", "compile", "__import__"}
OF_CONSTANTS = {"target.query", "_quoted(name)", "table"}
"""What was looked at: constants chosen by a caller or gone through, and the name of a table, quoted."""

REFUSED_METHODS = {"os.system", "os.popen", "yaml.load", "tempfile.mktemp"}


LOOKED_AT = {"shell", "allow_pickle"}
"""Keywords of a call that are looked at."""


def text_of(node):
    """The text of an expression; names with dots, which most calls have, are joined here, for `unparse` takes long."""
    parts, inner = [], node
    while isinstance(inner, ast.Attribute):
        parts.append(inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        return ".".join([inner.id, *reversed(parts)])
    return ast.unparse(node)


def faults(source):
    """What is wrong with the text of a module, as (line, what)."""
    found = []
    for node in ast.walk(ast.parse(source)):
        modules = []
        if isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        found += [(node.lineno, name) for name in modules if name.split(".")[0] in REFUSED_MODULES]
        if not isinstance(node, ast.Call):
            continue
        called = text_of(node.func)
        named = {keyword.arg: text_of(keyword.value) for keyword in node.keywords if keyword.arg in LOOKED_AT}
        if called in REFUSED_CALLS | REFUSED_METHODS or named.get("shell") == "True":
            found.append((node.lineno, called))
        if named.get("allow_pickle") == "True":
            found.append((node.lineno, "allow_pickle"))
        if called.split(".")[-1] in {"load", "read_array"} and called.split(".")[0] in {"np", "numpy"}:
            found += [] if named.get("allow_pickle") == "False" else [(node.lineno, called)]
        if called.split(".")[-1] in {"execute", "executemany", "executescript"} and node.args:
            found += [(node.lineno, "SQL of data")] if _of_data(node.args[0]) else []
    return found


def _of_data(statement):
    """Whether a statement is put together of anything but constants of the module and numbers written by `:d`."""
    if isinstance(statement, ast.JoinedStr):
        parts = [part for part in statement.values if isinstance(part, ast.FormattedValue)]
        return not all(
            (isinstance(part.value, ast.Name) and part.value.id.isupper())
            or ast.unparse(part.value) in OF_CONSTANTS
            or (part.format_spec is not None and ast.unparse(part.format_spec).strip("f'\"") == "d")
            for part in parts
        )
    if isinstance(statement, ast.BinOp):
        return _of_data(statement.left) or _of_data(statement.right)
    if isinstance(statement, ast.Call) and ast.unparse(statement.func).endswith(".format"):
        return not all(ast.unparse(argument) in OF_CONSTANTS for argument in statement.args)
    return False


def test_no_module_unpickles_evaluates_or_writes_sql_of_data():
    assert len(SOURCES) > 200
    for path in SOURCES:
        found = faults(path.read_text(encoding="utf-8"))
        if path.is_relative_to(ROOT / "simulator" / "bench"):  # which looks at databases of its own making
            found = [fault for fault in found if fault[1] != "SQL of data"]
        assert not found, path


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import numpy as np\nnp.load(p)",
        "np.load(p, allow_pickle=True)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
        'raw.execute(f"SELECT {name}")',
        'raw.execute("SELECT " + f"{name}")',
        'raw.execute("SELECT {}".format(name))',
    ],
)
def test_the_look_does_find_them(source):
    assert faults(source)
