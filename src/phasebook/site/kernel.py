"""The kernel in which the runner executes a chapter: `python -P -m phasebook.site.kernel -f CONNECTION_FILE`.

An ordinary IPython kernel in a tuned process. It ends when the runner does, and takes the folder of its connection
file with it. A plain papermill run uses the installed kernel and does without.
"""

import os
import sys
import tempfile
from pathlib import Path

from phasebook.site import process

__all__ = ["main"]


def main() -> None:
    """Run the kernel until it is told to end, or its runner has."""
    process.tune()
    folder = Path(sys.argv[sys.argv.index("-f") + 1]).parent
    process.follow(folder)
    for name in ("TMPDIR", "TORCHINDUCTOR_CACHE_DIR"):      # temporary files of a chapter go with it
        os.environ[name] = str(folder)
    vars(tempfile)["tempdir"] = None        # `tune` has asked for it already
    os.environ.pop("JPY_PARENT_PID", None)      # IPython's own watch would end the process before ours has cleared up
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()


if __name__ == "__main__":
    main()
