"""Shared by all tests: the smoke-profile book, built once, and how tests are spread over workers."""

import logging
import os
from pathlib import Path

import pytest

from phasebook.site import process

process.tune()      # before anything loads torch; kernels inherit how threads wait

from phasebook.site.build import book  # noqa: E402

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test depends on a model hub


REPLAYED = {"01_heat_and_transport", "03_chain_of_transports"}


def pytest_ignore_collect(collection_path, config):
    """`make test` replays two references by nbval; the outputs of all are compared with the smoke book, which runs them
    anyway (test_notebooks). `pytest --nbval-lax tests/reference` replays every one."""
    asked = any("reference" in argument for argument in config.args)
    return True if collection_path.suffix == ".ipynb" and not asked and collection_path.stem not in REPLAYED else None


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """A notebook's cells, and all tests that need the smoke book, stay on one worker, in order."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
        elif "smoke" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("smoke"))


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Path:
    """A folder with the whole book, executed at smoke parameters and laid out."""
    folder = tmp_path_factory.mktemp("smoke")
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
