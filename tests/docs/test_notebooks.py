"""Every notebook runs without an error, and is stored without outputs."""

import asyncio
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CELL_SECONDS = 300

nbformat = pytest.importorskip("nbformat")


def with_outputs(notebook):
    """The numbers, from 1, of the code cells with stored outputs or an execution count."""
    return [
        number
        for number, cell in enumerate(notebook.cells, start=1)
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None)
    ]


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS] == ["quickstart.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    assert any(cell.cell_type == "code" for cell in notebook.cells)
    assert with_outputs(notebook) == []


def test_stored_outputs_would_be_seen():
    printed, counted, clean = (nbformat.v4.new_code_cell("print(3)") for _ in range(3))
    printed.outputs = [nbformat.v4.new_output("stream", text="3")]
    counted.execution_count = 1
    assert with_outputs(nbformat.v4.new_notebook(cells=[printed, clean, counted])) == [1, 3]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the libraries that run the kernel
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_without_an_error(path, tmp_path, monkeypatch):
    """All cells run in a kernel of their own, in an empty directory; an error in a cell is raised here."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    if sys.platform == "win32":  # the kernel's sockets need the older event loop there
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": tmp_path}},
        extra_arguments=["--IPKernelApp.log_level=40"],
    )
    client.execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")
