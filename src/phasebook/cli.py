"""The door: `phasebook run | compare | new | book | pdf | slice | stability | bench | train`."""

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

__all__ = ["main"]

INTERRUPTED = "phasebook: interrupted; nothing half-written is left"


class Stopped(KeyboardInterrupt):
    """A signal that ends the run; `number` is its own."""

    def __init__(self, number: int):
        self.number = number


def _unwind(number: int) -> NoReturn:
    raise Stopped(number)


def _leave(number: int) -> NoReturn:
    os.write(2, f"{INTERRUPTED}\n".encode())
    os._exit(128 + number)


@contextmanager
def _signals(end: Callable[[int], NoReturn]) -> Iterator[None]:
    """While it lasts, the first of these signals calls `end`; more are ignored.

    A verb unwinds, so that kernels and folders go. Imports, which hold nothing yet, are left at once: an exception
    that comes up while an extension module is made would end in the C++ runtime, and loudly.
    """
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    kept = [n for n in numbers if signal.getsignal(n) not in (None, signal.SIG_IGN)]

    def stop(number: int, frame: object) -> NoReturn:
        for n in kept:
            signal.signal(n, signal.SIG_IGN)
        vars(sys)["unraisablehook"] = lambda _: None    # what was half-made complains where it is taken apart
        end(number)

    before = [signal.signal(n, stop) for n in kept]
    try:
        yield
    finally:
        for n, handler in zip(kept, before, strict=True):
            signal.signal(n, handler)


def _open_descriptors() -> None:
    """Where the caller has closed one of the first three, nothing is read and what is printed is lost: the next file to
    be opened would get its number, and be printed into."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 done, 1 a chapter, a verdict or the pages failed, 2 a bad parameter (nothing was written), 128 and
    the signal's number for an interruption."""
    _open_descriptors()
    try:
        os.getcwd()
    except OSError:
        print("phasebook: the working folder is gone; call it from one that is there", file=sys.stderr)
        return 2
    for stream in (sys.stdout, sys.stderr):     # a file name may hold what the terminal cannot show
        stream.reconfigure(errors="backslashreplace")
    logging.getLogger().addHandler(logging.NullHandler())       # what goes wrong is said in one line, by us
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    for name in ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY"):
        os.environ.setdefault(name, "error")
    try:
        with _signals(_leave):      # of all imports but Python's own: a signal is a line there as well
            from phasebook.site import process

            process.tune()
            process.end_with_make()
            from phasebook.site import verbs
        with _signals(_unwind):
            return verbs.do(arguments)
    except KeyboardInterrupt as error:
        number = getattr(error, "number", signal.SIGINT)
        if any(thread.name == "lane" for thread in threading.enumerate()):      # in the middle of an import, perhaps
            from phasebook.scratch import clear

            sys.stdout.flush()
            clear()
            _leave(number)
        print(INTERRUPTED, file=sys.stderr)
        return 128 + number


if __name__ == "__main__":
    sys.exit(main())
