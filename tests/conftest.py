"""Shared by all tests: the smoke-profile book, built once, and how tests are spread over workers."""

import fcntl
import gc
import logging
import os
from pathlib import Path

import pytest

from phasebook.site import process

gc.disable()        # until all is collected, see below
process.tune()      # before anything loads torch; kernels inherit how threads wait
if "PYTEST_XDIST_WORKER" in os.environ:         # workers share the processors: a tenth less time
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from phasebook.site.build import book  # noqa: E402

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test depends on a model hub


REPLAYED = {"01_heat_and_transport"}


def pytest_ignore_collect(collection_path, config):
    """`make test` replays one reference by nbval; the outputs of all are compared with the smoke book, which runs them
    anyway (test_notebooks). `pytest --nbval-lax tests/reference` replays every one."""
    asked = any("reference" in argument for argument in config.args)
    return True if collection_path.suffix == ".ipynb" and not asked and collection_path.stem not in REPLAYED else None


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """A notebook's cells stay on one worker, in order. So do tests of the smoke book, which one worker begins with;
    tests of its pages come when it is there, on any."""
    def group(item):
        asked = getattr(item, "fixturenames", ())
        if item.path.suffix == ".ipynb":
            return item.path.stem
        return "site" if "site" in asked else "smoke" if "smoke" in asked else ""

    groups = [(group(item), item) for item in items]
    for name, item in groups:
        if name not in ("", "site"):
            item.add_marker(pytest.mark.xdist_group(name))
    others = [item for name, item in groups if name not in ("smoke", "site")]
    begin, pages = ([item for name, item in groups if name == one] for one in ("smoke", "site"))
    items[:] = begin + others[:len(others) // 2] + pages + others[len(others) // 2:]


def pytest_collection_finish():
    """What the libraries hold stays: each look at half a million objects takes half a second."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 20)


def pytest_sessionfinish():
    """Nothing is freed any more: pytest looks through all of it five times before the process ends."""
    gc.freeze()


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Path:
    """A folder with the whole book, executed at smoke parameters and laid out; all workers share it."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder = shared / "smoke"
    with open(shared / "smoke.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "_build" / "html").is_dir():
            folder.mkdir(exist_ok=True)
            book.build("smoke", folder)
    return folder


@pytest.fixture
def foreign(recwarn, capfd):
    """What the libraries that load models say beside us: log records and warnings of others, as they come."""
    class Heard(list):
        def __eq__(self, other):
            return [*self, *(str(w.message) for w in recwarn), *filter(None, capfd.readouterr())] == other

        __hash__ = None

    said = Heard()
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())
    loggers = [logging.getLogger(name) for name in ("transformers", "diffusers", "huggingface_hub")]
    for logger in loggers:
        logger.addHandler(handler)
    yield said
    for logger in loggers:
        logger.removeHandler(handler)


@pytest.fixture(scope="session")
def site(smoke) -> Path:
    """Its pages."""
    return smoke / "_build" / "html"
