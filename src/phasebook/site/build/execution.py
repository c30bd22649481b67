"""Executes a notebook through papermill in a kernel of the runner's own, and leaves nothing behind.

Sockets and connection file lie in a folder of this run alone: by default they lie in the working directory or the
user's home, where two runs take each other's and a read-only home stops them. The user's own IPython profile and a
module in the working directory that shadows an installed one stay out.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import Int

from phasebook.scratch import scratch
from phasebook.site import process
from phasebook.site.build.sources import ChapterError

__all__ = ["Nursery", "execute", "nursery"]

LONGEST_SOCKET = 95     # bytes; the system takes 103 to 107, and a number is added


# of GNU's OpenMP, half a millisecond: a thread of a chapter that has the machine to itself waits so long before it
# sleeps, and gradients through a small network take 0.6 of the time
SPINS = "30000"
COMMAND = [sys.executable, "-P", "-m", "phasebook.site.kernel"]
PATIENCE = 2.0           # seconds in which a kernel may end by itself, once it is told to


class Nursery:
    """Forks kernels of one thread from a process that has imported what they need: see `phasebook.site.kernel`.

    Args:
        folder: of its own.
        lines: import statements of the notebooks to come.
    """

    def __init__(self, folder: Path, lines: Sequence[str]):
        self._folder, self._lines, self._asking = folder, lines, threading.Lock()
        self._host: subprocess.Popen | None = None

    def kernel(self, **order: Any) -> "Forked":
        """A new kernel.

        Args:
            order: as `phasebook.site.kernel` takes it.

        Raises:
            RuntimeError: the nursery is gone.
        """
        with self._asking:
            try:
                if self._host is None:          # a book in which nothing has changed needs none
                    self._begin()
                self._tell(order)
                return Forked(int(self._host.stdout.readline()))
            except (OSError, ValueError):
                raise RuntimeError("Kernel died before it was there") from None

    def end(self) -> None:
        """End it, and so its kernels, which see that it is gone."""
        if self._host is not None:
            self._host.kill()
            self._host.communicate()

    def _begin(self) -> None:
        with open(self._folder / "kernel.log", "ab") as log:
            self._host = subprocess.Popen(
                [*COMMAND, "--nursery", str(self._folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True, start_new_session=True, env={**os.environ, **_environment(1)})
        self._tell(self._lines)

    def _tell(self, what: Any) -> None:
        self._host.stdin.write(json.dumps(what) + "\n")
        self._host.stdin.flush()


class Forked:
    """A kernel that is no child of this process, for jupyter_client, which takes a `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int):
        self.pid, self.returncode = pid, None
        self._seen = os.pidfd_open(pid)         # readable once it is gone

    def poll(self) -> int | None:
        """None as long as it lives; what it ended with is not known."""
        if self.returncode is None and select.select([self._seen], [], [], 0)[0]:
            os.close(self._seen)
            self.returncode = 1
        return self.returncode

    wait = poll         # called once it is gone

    def send_signal(self, number: int) -> None:
        """Send a signal to it and to what it started; ProcessLookupError where it is gone."""
        os.killpg(self.pid, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    terminate = kill        # asked for where a signal found nobody


@contextmanager
def nursery(lines: Sequence[str]) -> Iterator[Nursery | None]:
    """A nursery for as long as the context lasts; None where the system has no handle of a process that is no child.

    Args:
        lines: import statements of the notebooks to come.
    """
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):       # another system, an old one, or a container that forbids it
        yield None
        return
    with scratch("kernel") as folder:
        one = Nursery(folder, lines)
        try:
            yield one
        finally:
            one.end()


def _environment(threads: int | None) -> dict[str, str]:
    if threads:
        return {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}
    return {"GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", SPINS)}


class Kernel(AsyncKernelManager):
    """`phasebook.site.kernel` in this interpreter; what the process itself says goes to a file beside its socket."""

    threads = Int(None, allow_none=True, config=True, help="of OpenMP, where the environment does not say")
    nursery: Nursery | None = None

    @property
    def kernel_spec(self) -> KernelSpec:
        folder = str(Path(self.connection_file).parent)
        command = [*COMMAND, "-f", "{connection_file}", "--HistoryManager.enabled=False"]
        return KernelSpec(argv=command, display_name="Python 3", language="python",
                          env=_environment(self.threads) | {"IPYTHONDIR": folder, process.PARENT: str(os.getpid())})

    async def _async_launch_kernel(self, command: list[str], **options: Any) -> None:
        log = Path(self.connection_file).with_name("kernel.log")
        if self.nursery is None:
            with open(log, "ab") as said:
                return await super()._async_launch_kernel(command, stdout=said, stderr=said, **options)
        self.provisioner.process = self.nursery.kernel(
            arguments=command[len(COMMAND):], environment=options["env"], where=options.get("cwd") or os.getcwd(),
            log=str(log))


def execute(notebook: nbformat.NotebookNode, name: str, changes: Mapping[str, Any],
            progress: bool, threads: int | None = None, nursery: Nursery | None = None) -> nbformat.NotebookNode:
    """The executed notebook.

    Args:
        notebook: as `sources.notebook` gives it; papermill works on a copy.
        name: of the chapter, for messages.
        changes: parameters that differ from the literals.
        progress: whether a bar is drawn.
        threads: of OpenMP; None leaves them to the machine.
        nursery: where the kernel comes from; None starts one.

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
                config=Config(KernelManager=_connection(folder) | {"threads": threads}),
                kernel_manager_class=type("Kernel", (Kernel,), {"nursery": nursery}), record_timing=False,
                coalesce_streams=True)      # what one cell prints would else be cut where a fifth of a second ends
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
