"""The pages of the Python interface: every public name with one sentence, and the directives that document it.

Public are the names in `__all__` of each package, and what the modules of MODULES define, which are imported by their
own path. An object that several packages offer is documented where it is met first, and the others name it.
"""

import ast
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable
from functools import cache

import bandit

MODULES = (
    "bandit.analysis.exploration_cost",
    "bandit.analysis.group_plan",
    "bandit.analysis.group_timing",
    "bandit.analysis.half_life",
    "bandit.analysis.replay",
    "bandit.analysis.sample_size",
    "bandit.analysis.warm_start",
    "bandit.clock",
    "bandit.engine.campaign",
    "bandit.engine.outcome_file",
    "bandit.errors",
    "bandit.evaluate.incrementality",
    "bandit.evaluate.incrementality_log",
    "bandit.evaluate.incrementality_results",
    "bandit.evaluate.lift",
    "bandit.evaluate.lift_log",
    "bandit.evaluate.lift_results",
    "bandit.evaluate.live_status",
    "bandit.evaluate.rollout_report",
    "bandit.evaluate.stand_in",
    "bandit.governance.customer_data",
    "bandit.governance.erasure",
    "bandit.governance.guardrail_status",
    "bandit.governance.guardrails",
    "bandit.governance.retention",
    "bandit.governance.verify",
    "bandit.policies.table_file",
    "bandit.service.openfeature_provider",
    "bandit.store.customer_key",
    "bandit.tabular",
)
"""Modules without an `__all__` that programs import by their own path."""

ELSEWHERE = ("bandit.cli",)
"""Packages that another page documents: the command line."""


@cache
def packages():
    """Every package of `bandit` that has an `__all__`, `bandit` first."""
    below = (module.name for module in pkgutil.walk_packages(bandit.__path__, "bandit.") if module.ispkg)
    found = [bandit, *(importlib.import_module(name) for name in below if name not in ELSEWHERE)]
    return [package for package in found if hasattr(package, "__all__")]


def public_names(module):
    """The names that a package offers, or that a module defines, sorted."""
    if hasattr(module, "__all__"):
        return sorted(set(module.__all__) - {"__version__"})
    own = (name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__)
    return sorted(name for name in {*own, *_assigned(module)} if not name.startswith("_"))


@cache
def offered():
    """{module: names} of all that is public, in the order of the pages."""
    modules = [*packages(), *(importlib.import_module(name) for name in MODULES)]
    return {module.__name__: public_names(module) for module in modules}


@cache
def _tree(module):
    return ast.parse(inspect.getsource(module)).body


@cache
def _assigned(module):
    """{name: docstring} of the names that a module assigns, where a text follows the assignment."""
    body, found = _tree(module), {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(text, str) and text:
            found |= {target.id: text for target in targets if isinstance(target, ast.Name)}
    return found


def _source(module, name):
    """The module from which a package's `__init__` imports a name, itself where it does not."""
    for node in ast.walk(ast.Module(_tree(module), [])):
        if isinstance(node, ast.ImportFrom) and name in {alias.asname or alias.name for alias in node.names}:
            return _source(importlib.import_module(node.module), name)
    return module


def _documents_itself(value):
    return inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value)


def summary(module_name, name):
    """The first sentence of what a public name is; LookupError where nothing says it."""
    module = sys.modules[module_name]
    value = getattr(module, name)
    text = inspect.getdoc(value) if _documents_itself(value) else _assigned(_source(module, name)).get(name)
    if not text or (inspect.isclass(value) and not vars(value).get("__doc__")):
        raise LookupError(f"{module_name}.{name} has no docstring")
    return " ".join(text.split("\n\n")[0].split())


def _key(module_name, name):
    """What tells whether two names are one object: constants count by the module that defines them."""
    module = sys.modules[module_name]
    value = getattr(module, name)
    return id(value) if _documents_itself(value) else (_source(module, name).__name__, name)


@cache
def documented_at():
    """{(module, name): (module, name)}: where each public name is documented."""
    first, places = {}, {}
    for module_name, names in offered().items():
        for name in names:
            places[module_name, name] = first.setdefault(_key(module_name, name), (module_name, name))
    return places


def page_of(module_name):
    """The file of the page that has a module: one for the package below `bandit`."""
    parts = module_name.split(".")
    return f"docs/reference/python/{parts[1] if len(parts) > 1 else 'bandit'}.md"


def _title(path):
    """The title of a page: the package's name."""
    name = path.rpartition("/")[2].removesuffix(".md")
    return name if name == "bandit" else f"bandit.{name}"


def _directive(module_name, name):
    value = getattr(sys.modules[module_name], name)
    if inspect.isclass(value):
        return f".. autoclass:: {module_name}.{name}\n   :members:\n"
    if inspect.isroutine(value):
        return f".. autofunction:: {module_name}.{name}\n"
    source = _source(sys.modules[module_name], name)
    text = inspect.cleandoc(_assigned(source)[name]).replace("\n", "\n   ")
    return f".. py:data:: {module_name}.{name}\n\n   {text}\n"


def _section(module_name, names, places):
    rows, directives = "", []
    for name in names:
        place = places[module_name, name]
        value = getattr(sys.modules[module_name], name)
        if inspect.ismodule(value):
            rows += f"| [`{name}`]({page_of(value.__name__).rpartition('/')[2]}) | {summary(module_name, name)} |\n"
            continue
        shown = f"`{name}`"
        if place != (module_name, name):
            here = page_of(place[0]) == page_of(module_name)
            target = "" if here else page_of(place[0]).rpartition("/")[2]
            shown = f"`{name}` (`{'.'.join(place)}`)" if here else f"[`{name}`]({target})"
        else:
            directives.append(_directive(module_name, name))
        rows += f"| {shown} | {_escaped(summary(module_name, name))} |\n"
    text = _escaped(inspect.getdoc(sys.modules[module_name]) or "")
    block = "\n```{eval-rst}\n" + "\n".join(directives) + "```\n" if directives else ""
    title = "" if _title(page_of(module_name)) == module_name else f"## {module_name}\n\n"
    return f"{title}{text}\n\n| name | what it is |\n|---|---|\n{rows}{block}"


def _escaped(text):
    """The text for Markdown, with vertical lines and brackets of angles outside of code escaped."""
    pieces = text.split("`")
    pieces[::2] = [piece.replace("|", "\\|").replace("<", "\\<").replace("*", "\\*") for piece in pieces[::2]]
    return "`".join(piece.replace("|", "\\|") if number % 2 else piece for number, piece in enumerate(pieces))


def python_pages():
    """{path: function that makes the text} of the overview and one page a package."""
    pages: dict[str, Callable[[], str]] = {"docs/reference/python.md": overview_page}
    for path in dict.fromkeys(map(page_of, offered())):
        pages[path] = lambda path=path: package_page(path)
    return pages


def package_page(path):
    """The page of one package and of what lies in it."""
    places = documented_at()
    sections = [_section(module, names, places) for module, names in offered().items() if page_of(module) == path]
    return f"# {_title(path)}\n\n[All packages](../python.md)\n\n" + "\n".join(sections)


def overview_page():
    """The page that lists the packages and modules."""
    rows = ""
    for module_name in offered():
        page = "python/" + page_of(module_name).rpartition("/")[2]
        text = _escaped(" ".join((inspect.getdoc(sys.modules[module_name]) or "").split("\n\n")[0].split()))
        rows += f"| [`{module_name}`]({page}) | {text} |\n"
    entries = "".join(
        f"python/{name}\n" for name in dict.fromkeys(page_of(module).split("/")[-1] for module in offered())
    )
    return f"""# Python

The public names of the packages, from their docstrings. What a package lists in `__all__` is kept; modules that are
listed here by their own path are public, too. Numbers are float64, times are microseconds since 1970 (UTC), and every
error is a `bandit.OfferBanditError`.

| package or module | what it has |
|---|---|
{rows}
```{{toctree}}
:hidden:

{entries}```
"""
