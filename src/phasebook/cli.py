"""The door: `phasebook run | compare | new | book | pdf | slice | stability | bench | train`."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from phasebook.site import process

__all__ = ["main"]


class Stopped(KeyboardInterrupt):
    """A signal that ends the run; `number` is its own."""

    def __init__(self, number: int):
        self.number = number


@contextmanager
def _signals() -> Iterator[None]:
    """While a verb runs, each of these signals unwinds it once, so that kernels and folders go; more are ignored."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    kept = [n for n in numbers if signal.getsignal(n) not in (None, signal.SIG_IGN)]

    def stop(number: int, frame: object) -> NoReturn:
        for n in kept:
            signal.signal(n, signal.SIG_IGN)
        raise Stopped(number)

    before = [signal.signal(n, stop) for n in kept]
    try:
        yield
    finally:
        for n, handler in zip(kept, before, strict=True):
            signal.signal(n, handler)


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 done, 1 a chapter, a verdict or the pages failed, 2 a bad parameter (nothing was written), 128 and
    the signal's number for an interruption."""
    for stream in (sys.stdout, sys.stderr):     # a file name may hold what the terminal cannot show
        stream.reconfigure(errors="backslashreplace")
    logging.getLogger().addHandler(logging.NullHandler())       # what goes wrong is said in one line, by us
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    for name in ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY"):
        os.environ.setdefault(name, "error")
    process.tune()
    process.end_with_make()
    try:
        with _signals():
            from phasebook.site import verbs  # seconds of imports, in which a signal is a line as well

            return verbs.do(arguments)
    except KeyboardInterrupt as error:
        print("phasebook: interrupted; nothing half-written is left", file=sys.stderr)
        return 128 + getattr(error, "number", signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
