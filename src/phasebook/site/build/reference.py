"""The notebooks that nbval replays: sources with smoke parameters and the outputs of their checked cells.

Every cell that prints is checked. `make reference` writes the notebooks; a test holds each equal to its source plus the
smoke parameters. Only outputs of cells tagged `nbval-check-output` are kept: rounded numbers, the same on every
machine. The ledgers of these runs lie beside them, in `results/`, for the replay of the chapter of claims.
"""

import json
from pathlib import Path

import nbformat

from phasebook.site.build import runner, sources
from phasebook.site.build.execution import execute
from phasebook.site.results.ledger import SCHEMA, schema

__all__ = ["prepared", "write"]

FOLDER = Path("tests", "reference")
CHECKED = "nbval-check-output"


def prepared(source: Path) -> nbformat.NotebookNode:
    """A chapter with its smoke parameters in a cell after the parameters, as papermill would put them; a page as it
    stands."""
    notebook = runner.notebook(source)
    if source in runner.chapters():
        values = "\n".join(f"{name} = {value!r}" for name, value in runner.profile("smoke", source).items())
        tagged = next(i for i, c in enumerate(notebook.cells) if "parameters" in c.metadata.get("tags", []))
        injected = nbformat.v4.new_code_cell(values, metadata={"tags": ["injected-parameters", "hide-input"]})
        notebook.cells.insert(tagged + 1, injected)
    notebook.metadata = {"kernelspec": {"display_name": sources.KERNEL, "language": "python", "name": "python3"}}
    sources.number_cells(notebook)
    return notebook


def write(source: Path) -> Path:
    """Execute the prepared notebook; keep the outputs of its checked cells, and its ledger."""
    notebook = execute(prepared(source), source.stem, {}, progress=False)
    folder = runner.root() / FOLDER
    (folder / "results").mkdir(parents=True, exist_ok=True)
    if source in runner.chapters():
        results = folder / "results" / f"{source.stem}.results.json"
        results.write_text(runner.ledger(source, notebook).model_dump_json() + "\n", encoding="utf-8")
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        if not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)
        if cell.cell_type == "code":
            cell.execution_count = 1  # nbval takes integers only
            if CHECKED not in cell.metadata.get("tags", []):
                cell.outputs = []
            for output in cell.outputs:
                if "execution_count" in output:
                    output["execution_count"] = 1
    notebook.metadata = prepared(source).metadata
    file = folder / f"{source.stem}.ipynb"
    file.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    return file


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(schema(), indent=1) + "\n", encoding="utf-8")
    for chosen in [*runner.chapters(), *runner.pages()]:
        print(write(chosen))
