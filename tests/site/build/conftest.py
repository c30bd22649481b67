"""A toy house: a repository with one chapter, whose package is the real one."""

import os
import sys
from pathlib import Path

import pytest

from phasebook import cli
from phasebook.site.build import runner
from phasebook.site.paths import HOME

REAL = runner.root()

TOY = '''# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% tags=["parameters"]
factor = 2
path = ""
rows = [1.0]

# %%
from typing import Annotated
from pydantic import Field
from phasebook.site.results.ledger import Ledger
from phasebook.site.checks.parameters import Finite, Parameters

class Chapter(Parameters):
    factor: Annotated[int, Field(ge=1)]
    path: str
    rows: list[Finite]

p = Chapter.read(globals())
ledger = Ledger("01_toy", p)

# %%
import time
if p.factor == 13:
    raise ValueError("factor 13 fails\\nin two lines")
time.sleep(60 if p.factor == 60 else 0)

# %% tags=["results"]
ledger.claim("toy.double", (2 * p.factor) % 2)
ledger.number("product", 2 * p.factor, "1")
ledger.emit()
'''

CLAIMS = '''toy.double:
  kind: book
  reference: Eq. (0)
  statement: Twice a whole number is even.
  bound: "0 +- 0"
'''


@pytest.fixture
def house(tmp_path, monkeypatch) -> Path:
    """The toy house, which every process of the test takes for the repository."""
    home = tmp_path / "house"
    for folder in ("notebooks/params/smoke", "notebooks/claims", "assets", "tests/reference"):
        (home / folder).mkdir(parents=True)
    (home / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n")
    (home / "assets" / "a.txt").write_text("a")
    (home / "notebooks" / "01_toy.py").write_text(TOY)
    (home / "notebooks" / "claims" / "01_toy.yaml").write_text(CLAIMS)
    (home / "notebooks" / "params" / "smoke" / "01.yaml").write_text("factor: 3\n")
    (home / "requirements.lock").write_text("numpy==1\n")
    (home / "src").symlink_to(REAL / "src")
    monkeypatch.setenv(HOME, str(home))
    return home


@pytest.fixture
def phasebook():
    """The command line in this process: arguments to exit code."""
    def call(*arguments: object) -> int:
        try:
            return cli.main([os.fspath(a) if isinstance(a, Path) else str(a) for a in arguments])
        except SystemExit as stop:
            return stop.code

    return call


@pytest.fixture
def installed(tmp_path_factory) -> dict[str, str]:
    """The environment for commands of others, each of which would spend a second on a grammar (`process.tune`)."""
    aside = tmp_path_factory.mktemp("aside")
    (aside / "rfc3987_syntax.py").write_text("raise ImportError\n")
    first = {"PATH": Path(sys.executable).parent, "PYTHONPATH": aside}
    return os.environ | {name: os.pathsep.join(filter(None, [str(place), os.environ.get(name)]))
                         for name, place in first.items()}


@pytest.fixture
def edit(house):
    """Replaces text in the toy chapter."""
    def replace(old: str, new: str) -> None:
        file = house / "notebooks" / "01_toy.py"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))

    return replace


@pytest.fixture
def prose(house):
    """The toy house with the pages that a site needs."""
    (house / "book").mkdir(exist_ok=True)
    for name in ("_static", "_ext"):
        (house / "book" / name).symlink_to(REAL / "book" / name)
    (house / "_config.yml").write_text((REAL / "_config.yml").read_text())
    (house / "book" / "references.bib").write_text("")
    (house / "book" / "intro.md").write_text("# Title\n\nText.\n")
    (house / "notebooks" / "using.py").write_text("# %% [markdown]\n# # Using\n\n# %%\nprint(6 * 7)\n")
    (house / "_toc.yml").write_text("format: jb-book\nroot: book/intro\nchapters:\n  - file: book/chapters/01_toy\n"
                                    "  - file: book/chapters/using\n")
    source = house / "notebooks" / "01_toy.py"
    source.write_text(source.read_text().replace("# %% tags=", "# %% [markdown]\n# # Toy\n\n# %% tags=", 1))
    (house / "tests" / "reference" / "verdicts.json").write_text('{"toy.double": "holds"}')
    return house
