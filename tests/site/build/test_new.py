"""Chapters from the template: names that are none, and claims that another chapter makes already."""

import os
import shutil

import pytest
import yaml

from phasebook.site.build import files
from phasebook.site.paths import root

REAL = root()


@pytest.fixture
def own(house):
    """A toy house that may be written to."""
    (house / "src").unlink()
    shutil.copytree(REAL / "notebooks" / "claims", house / "notebooks" / "claims", dirs_exist_ok=True)
    (house / "_toc.yml").write_text("parts:\n  - chapters:\n      - file: book/chapters/01_toy\n")
    return house


@pytest.mark.parametrize("name, words", [
    ("class", "NAME = 'class': is a word of Python's"), ("toy", "NAME = 'toy': there is a file notebooks/01_toy.py"),
    ("n" * 300, "a letter first, at most 60 in all"), ("Sample", "takes small letters"), ("2d", "a letter first"),
])
def test_names_that_no_chapter_can_have(own, phasebook, capsys, name, words):
    before = sorted(own.rglob("*"))
    assert phasebook("new", name) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert sorted(own.rglob("*")) == before


@pytest.mark.parametrize("stop", range(6))
def test_one_that_was_killed_goes_on(own, phasebook, monkeypatch, stop):
    """Before any of its six files took its place, and before the last."""
    real, count = os.replace, iter(range(9))

    def killed(*names):
        if next(count) == stop:
            raise MemoryError           # what a kill leaves: nothing is put back
        real(*names)

    monkeypatch.setattr(os, "replace", killed)
    monkeypatch.setattr(files, "_restore", lambda *_: None)
    with pytest.raises(MemoryError):
        phasebook("new", "heat_pump")
    monkeypatch.setattr(os, "replace", real)
    assert phasebook("new", "heat_pump") == 0
    written = [f.name for f in own.rglob("*heat_pump*")]
    assert sorted(written) == ["02_heat_pump.py", "02_heat_pump.yaml", "heat_pump.py", "test_heat_pump.py"]
    assert (own / "_toc.yml").read_text().count("02_heat_pump") == 1
    assert "heat.heat_pump.order" in (own / "notebooks" / "claims" / "02_heat_pump.yaml").read_text()
    assert phasebook("new", "heat_pump") == 2


def test_a_file_of_the_user_is_not_written_over(own, phasebook, capsys):
    mine = own / "tests" / "site" / "chapters" / "test_heat_pump.py"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine\n")
    assert phasebook("new", "heat_pump") == 2 and "there is a file tests/site" in capsys.readouterr().err
    assert mine.read_text() == "mine\n"


@pytest.mark.parametrize("names, ids", [
    (["sample_means", "sample_sizes"], ["sample.order", "sample.sample_sizes.order"]),
    (["heat_pump"], ["heat.heat_pump.order"]), (["h2o"], ["ho.order"]),
])
def test_claims_have_ids_of_their_own(own, phasebook, names, ids):
    """Two chapters that record one claim would stop the build at its end."""
    assert [phasebook("new", name) for name in names] == [0] * len(names)
    for name, claim in zip(names, ids, strict=True):
        [source] = (own / "notebooks").glob(f"??_{name}.py")
        claims = yaml.safe_load((own / "notebooks" / "claims" / f"{source.stem}.yaml").read_text())
        assert list(claims) == [claim] and f'"{claim}"' in source.read_text()
