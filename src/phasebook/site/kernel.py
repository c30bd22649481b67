"""The kernel in which the runner executes a chapter: `python -P -m phasebook.site.kernel -f CONNECTION_FILE`.

An ordinary IPython kernel in a tuned process. It ends when the runner does, and takes the folder of its connection
file with it. A plain papermill run uses the installed kernel and does without.

A build starts a score of kernels, and each would spend two to five seconds of a processor on the same imports. With
`--nursery FOLDER` this process makes them once, and then forks a kernel for each order on its standard input.
"""

import atexit
import gc
import json
import os
import signal
import sys
import tempfile
import warnings
from contextlib import suppress
from itertools import chain
from pathlib import Path

from phasebook.scratch import remove
from phasebook.site import process

__all__ = ["main"]

# what models import when they are loaded, which a chapter's own lines do not show
LATER = {
    "phasebook.models.pipelines.loading":
        "from diffusers import AutoencoderKL, StableDiffusion3Pipeline, StableDiffusionPipeline",
    "phasebook.models.towers.clip": "import open_clip",
}


def main() -> None:
    """Run the kernel until it is told to end, or its runner has."""
    process.tune()
    folder = Path(sys.argv[sys.argv.index("-f") + 1]).parent
    process.follow(folder)
    for name in ("TMPDIR", "TORCHINDUCTOR_CACHE_DIR"):      # temporary files of a chapter go with it
        os.environ[name] = str(folder)
    vars(tempfile)["tempdir"] = None        # `tune` has asked for it already
    os.environ.pop("JPY_PARENT_PID", None)      # IPython's own watch would end the process before ours has cleared up
    warnings.filterwarnings("ignore", message="IProgress not found")     # tqdm's, which names a file of this machine
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()


def nursery(folder: Path) -> None:
    """Import what the first line of input says, then fork a kernel for each further one, until the input ends.

    Nothing here starts a thread: a fork has none but the one that made it.

    Args:
        folder: removed at the end.
    """
    process.tune()
    answers = os.dup(1)
    os.dup2(2, 1)       # what an import prints is no answer
    gc.disable()
    import ipykernel.kernelapp  # noqa: F401

    _imported(json.loads(sys.stdin.readline()))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)       # the system buries them; the runner sees that they are gone
    gc.freeze()         # pages of what is there are not written to, and stay shared
    parent = os.getpid()
    for order in sys.stdin:
        if not os.fork():
            gc.enable()
            os.setsid()
            os.write(answers, b"%d\n" % os.getpid())
            os.close(answers)
            _born(parent, **json.loads(order))
            return main()
    remove(folder)


def _imported(lines: list[str]) -> None:
    os.environ.setdefault("PLOTLY_RENDERER", "plotly_mimetype")     # as plotly finds in a kernel; here it sees none
    for line in chain(lines, (later for name, later in LATER.items() if name in sys.modules)):
        with suppress(Exception, SystemExit):       # whoever needs it will say so
            exec(line, {})


def _born(parent: int, arguments: list[str], environment: dict[str, str], where: str, log: str) -> None:
    """Take what the runner would have given to a process of its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing, said = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for old, new in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(old, new)
    os.environ.clear()
    os.environ.update(environment | {process.PARENT: str(parent)})
    os.chdir(where)
    sys.argv[1:] = arguments


if __name__ == "__main__":
    atexit.register(os._exit, 0)        # after all others: taking torch and diffusers apart again takes two seconds
    nursery(Path(sys.argv[2])) if sys.argv[1] == "--nursery" else main()
