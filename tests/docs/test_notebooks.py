"""Every notebook is stored with the outputs that it has when it runs."""

import copy

import pytest

from tests.docs.notebooks import NOTEBOOKS, alike, data_folder, differences, execute, needs_data

nbformat = pytest.importorskip("nbformat")

NAMES = [
    "a_log_without_propensities.ipynb",
    "a_real_campaign_judged.ipynb",
    "from_rules_to_one_to_one.ipynb",
    "quickstart.ipynb",
    "which_estimator_to_trust.ipynb",
]


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS] == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_stored_with_outputs_and_without_an_error(path):
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell.outputs) for cell in cells) >= len(cells) - 1  # the first may only import
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert not [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"]
    assert path.stat().st_size < 500_000


def test_an_output_that_is_not_fresh_is_found():
    """The negative control: another word, a number off by a tenth, or an output that is missing."""
    stored = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print('better: 1.50')")])
    stored.cells[0].outputs = [nbformat.v4.new_output("stream", text="better: 1.50\n")]
    assert differences(stored, stored) == []
    for text in ("worse: 1.50\n", "better: 1.65\n", ""):
        computed = copy.deepcopy(stored)
        computed.cells[0].outputs[0].text = text
        assert len(differences(stored, computed)) == 1


def test_numbers_may_differ_in_their_last_digits_only():
    assert alike("3.141 to 1,000", "3.142 to 1,001")
    assert not alike("3.1 to 1,000", "3.3 to 1,000")
    assert not alike("-1.0", "1.0")
    assert not alike("1 and 2", "1")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the libraries that run the kernel
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_stored_outputs_are_those_of_a_run(path):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    stored = nbformat.read(path, as_version=4)
    if needs_data(stored) and data_folder() is None:
        pytest.skip("the real campaign of this notebook is not here")
    assert differences(stored, execute(path)) == []
