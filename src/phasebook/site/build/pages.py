"""Sphinx in a process of its own: `python -m phasebook.site.build.pages HOME ASIDE`.

Called by module and not by the script `jupyter-book`, whose first line names an interpreter by its path: a copied or
moved tree would call that of another.
"""

import gc
import signal
import sys
from pathlib import Path

from phasebook.site import process

__all__ = ["main"]


def main(home: str, aside: str) -> None:
    """Jupyter Book's own command on `home`, as long as the process that asked for it lives."""
    process.tune()
    process.follow(Path(aside))
    signal.signal(signal.SIGINT, signal.SIG_DFL)        # its caller says in one line that it was stopped
    gc.disable()        # of trees of many small nodes it frees little, and takes two fifths of the time
    from jupyter_book.cli.main import main as jupyter_book

    jupyter_book(["build", home, "--path-output", aside, "-W", "-n", "--keep-going", "--all"])


if __name__ == "__main__":
    main(*sys.argv[1:])
