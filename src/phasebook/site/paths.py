"""Where the repository is."""

import os
from pathlib import Path

from phasebook.site.checks.parameters import ParameterError

__all__ = ["HOME", "root"]

HOME = "PHASEBOOK_HOME"


def root() -> Path:
    """The repository: the folder that the variable PHASEBOOK_HOME names, else the one from which the package is
    installed in editable form. ParameterError where that is none."""
    named = os.environ.get(HOME)
    here = Path(named).resolve() if named else Path(__file__).resolve().parents[3]
    if (here / "_toc.yml").is_file():
        return here
    if named:
        raise ParameterError(f"{HOME} = {named!r}: no repository of the book (it has no _toc.yml)")
    raise ParameterError(f"phasebook is not installed from its repository ({here} has no _toc.yml); "
                         f"use `make env` or `pip install -e .`, or let {HOME} name a clone")
