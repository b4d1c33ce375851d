"""Execution of the notebooks, in place or to compare: `python -m tests.docs.notebooks` stores their outputs anew."""

import asyncio
import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CELL_SECONDS = 600

DATA_VARIABLE = "OFFER_BANDIT_DATA"
"""The folder of real campaigns, which notebooks that judge one of them need."""

TOLERANCE = 0.02
"""Largest relative difference between a stored and a computed number: processors round differently."""

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


def data_folder():
    """The folder of real campaigns, None where there is none."""
    folder = Path(os.environ.get(DATA_VARIABLE, ROOT.parent / "shared" / "data"))
    return folder if folder.is_dir() else None


def needs_data(notebook):
    """Whether a notebook reads a real campaign."""
    return any(DATA_VARIABLE in cell.source for cell in notebook.cells if cell.cell_type == "code")


def execute(path):
    """The notebook with the outputs of a run in a kernel of its own and an empty directory; errors are raised."""
    import nbclient  # noqa: PLC0415 - only where notebooks are run
    import nbformat  # noqa: PLC0415 - idem

    os.environ.update(MPLBACKEND="module://matplotlib_inline.backend_inline", OPENBLAS_NUM_THREADS="1")
    os.environ.setdefault("PYTHONHASHSEED", "0")
    if data_folder() is not None:
        os.environ[DATA_VARIABLE] = str(data_folder())
    if sys.platform == "win32":  # the kernel's sockets need the older event loop there
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        nbclient.NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": folder}},
            extra_arguments=["--IPKernelApp.log_level=40"],
        ).execute()
    return notebook


def shown(cell):
    """What a reader sees below a code cell: texts, with HTML before plain text, and "a picture" for each picture."""
    seen = []
    for output in cell.outputs:
        if output.output_type == "stream":
            seen.append(output.text)
        elif any(kind.startswith("image/") for kind in output.data):
            seen.append("a picture")
        else:
            seen.append(output.data.get("text/html", output.data.get("text/plain", "")))
    return "".join(text if text.endswith("\n") else text + "\n" for text in seen)


def differences(stored, computed):
    """A sentence for each code cell whose outputs are not those that it has when it runs."""
    pairs = zip(stored.cells, computed.cells, strict=True)
    return [
        f"cell {number}: stored {shown(old)!r}, computed {shown(new)!r}"
        for number, (old, new) in enumerate(pairs, start=1)
        if old.cell_type == "code" and not alike(shown(old), shown(new))
    ]


def alike(one, other):
    """Whether two texts are the same but for the last digits of their numbers."""
    if _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
        return False
    pairs = zip(_numbers(one), _numbers(other), strict=True)
    return all(abs(a - b) <= TOLERANCE * max(abs(a), abs(b)) for a, b in pairs)


def _numbers(text):
    return [float(number.replace(",", "")) for number in _NUMBER.findall(text)]


def store(path):
    """Execute a notebook and store it with its outputs, without what differs between machines."""
    import nbformat  # noqa: PLC0415 - only where notebooks are run

    notebook = execute(path)
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = {}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    wanted = {Path(name).stem for name in sys.argv[1:]}
    for each in NOTEBOOKS:
        if not wanted or each.stem in wanted:
            store(each)
            sys.stdout.write(f"{each.relative_to(ROOT)}\n")
