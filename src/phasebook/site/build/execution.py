"""Executes a notebook through papermill in a kernel of the runner's own, and leaves nothing behind.

Sockets and connection file lie in a folder of this run alone: by default they lie in the working directory or the
user's home, where two runs take each other's and a read-only home stops them. The user's own IPython profile and a
module in the working directory that shadows an installed one stay out.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import Int

from phasebook.scratch import scratch
from phasebook.site import process
from phasebook.site.build.sources import ChapterError

__all__ = ["execute"]

LONGEST_SOCKET = 95     # bytes; the system takes 103 to 107, and a number is added


# of GNU's OpenMP, half a millisecond: a thread of a chapter that has the machine to itself waits so long before it
# sleeps, and gradients through a small network take 0.6 of the time
SPINS = "30000"
PATIENCE = 2.0           # seconds in which a kernel may end by itself, once it is told to


class Kernel(AsyncKernelManager):
    """`phasebook.site.kernel` in this interpreter; what the process itself says goes to a file beside its socket."""

    threads = Int(None, allow_none=True, config=True, help="of OpenMP, where the environment does not say")

    @property
    def kernel_spec(self) -> KernelSpec:
        folder = str(Path(self.connection_file).parent)
        command = [sys.executable, "-P", "-m", "phasebook.site.kernel", "-f", "{connection_file}",
                   "--HistoryManager.enabled=False"]
        env = {"IPYTHONDIR": folder, process.PARENT: str(os.getpid())}
        if self.threads:
            env["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", str(self.threads))
        else:
            env["GOMP_SPINCOUNT"] = os.environ.get("GOMP_SPINCOUNT", SPINS)
        return KernelSpec(argv=command, display_name="Python 3", language="python", env=env)

    async def start_kernel(self, **options: Any) -> None:
        with open(Path(self.connection_file).with_name("kernel.log"), "ab") as log:
            await super().start_kernel(stdout=log, stderr=log, **options)


def execute(notebook: nbformat.NotebookNode, name: str, changes: Mapping[str, Any],
            progress: bool, threads: int | None = None) -> nbformat.NotebookNode:
    """The executed notebook.

    Args:
        notebook: as `sources.notebook` gives it; papermill works on a copy.
        name: of the chapter, for messages.
        changes: parameters that differ from the literals.
        progress: whether a bar is drawn.
        threads: of OpenMP; None leaves them to the machine.

    Raises:
        ChapterError: a cell failed, or the kernel died; one line.
    """
    import papermill
    from traitlets.config import Config

    bar = {"desc": name, "leave": False} if progress else False
    with scratch("kernel") as folder:
        try:
            return papermill.execute_notebook(
                notebook, None, parameters=dict(changes), kernel_name="python3", progress_bar=bar,
                config=Config(KernelManager=_connection(folder) | {"threads": threads}), kernel_manager_class=Kernel,
                record_timing=False)
        except papermill.PapermillExecutionError as error:
            message = " ".join(str(error.evalue).split())
            failure = ChapterError(f"{name}: cell {error.exec_count}: {error.ename}: {message}")
            failure.traceback = "\n".join(error.traceback)
            raise failure from None
        except RuntimeError as error:       # a kernel that does not start, or is killed
            failure = ChapterError(f"{name}: {' '.join(str(error).split())}")
            failure.traceback = _said(folder / "kernel.log")
            raise failure from None


def _connection(folder: Path) -> dict[str, str | float]:
    """Sockets in the file system, readable by this user alone; TCP on this machine where a path is too long."""
    options = {"connection_file": str(folder / "kernel.json"), "shutdown_wait_time": PATIENCE}
    place = folder / "kernel"
    if os.name != "nt" and len(os.fsencode(place)) <= LONGEST_SOCKET:
        options |= {"transport": "ipc", "ip": str(place)}
    return options


def _said(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
