"""The notebooks that nbval replays: sources with smoke parameters and the outputs of their checked cells.

`make reference` writes them; a test holds each equal to its source plus the smoke parameters. Only outputs of cells
tagged `nbval-check-output` are kept: rounded numbers, the same on every machine.
"""

from pathlib import Path

import nbformat

from phasebook.site import runner

__all__ = ["prepared", "write"]

FOLDER = Path("tests", "reference")
CHECKED = "nbval-check-output"


def prepared(source: Path) -> nbformat.NotebookNode:
    """A chapter with its smoke parameters as a second cell after the first, without outputs."""
    from papermill.parameterize import parameterize_notebook

    notebook = parameterize_notebook(runner.notebook(source), runner.profile("smoke", source), report_mode=False,
                                     kernel_name="python3", language="python")
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata.pop("papermill", None)
    return notebook


def write(source: Path) -> Path:
    """Execute the prepared notebook and keep the outputs of its checked cells."""
    from nbclient import NotebookClient

    notebook = prepared(source)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.execution_count = 1  # nbval takes integers only
            if CHECKED not in cell.metadata.get("tags", []):
                cell.outputs = []
            for output in cell.outputs:
                if "execution_count" in output:
                    output["execution_count"] = 1
    notebook.metadata.pop("language_info", None)
    file = runner.root() / FOLDER / f"{source.stem}.ipynb"
    file.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    return file


if __name__ == "__main__":
    for chapter in runner.chapters():
        print(write(chapter))
