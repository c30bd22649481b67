"""The front page: its marks are replaced by the live diagram and by counts of the results; nothing of it is typed."""

import importlib.util
import json
from types import SimpleNamespace

import pytest
import yaml

from phasebook.site.build import runner

FILE = runner.root() / "book" / "_ext" / "phasebook_front.py"
spec = importlib.util.spec_from_file_location("phasebook_front", FILE)
front = importlib.util.module_from_spec(spec)
spec.loader.exec_module(front)
TEXT = (runner.root() / "book" / "intro.md").read_text(encoding="utf-8")


@pytest.fixture
def home(tmp_path):
    """A book with a results file of the chapter of claims alone."""
    groups = {group: {"holds": 5 + k, "holds with correction": 0, "fails": 1, "undecided": 2, "not tested here": 0}
              for k, group in enumerate(front.VERDICTS.findall(TEXT))}
    folder = tmp_path / "book" / "chapters"
    folder.mkdir(parents=True)
    text = json.dumps({"numbers": {"verdicts": {"value": groups}}})
    (folder / f"{front.CLAIMS}.results.json").write_text(text)
    return tmp_path


def test_counts_are_those_of_the_results(home, monkeypatch):
    monkeypatch.setattr(front, "diagram", lambda: "<p>diagram</p>")
    source = [TEXT]
    front.fill(SimpleNamespace(srcdir=home), front.PAGE, source)
    assert "8 verdicts on sentences of the paper: 5 hold, 1 fails, 2 are undecided" in source[0]
    assert "```{raw} html\n<p>diagram</p>\n```" in source[0]
    assert front.LIVE not in source[0] and not front.VERDICTS.search(source[0])


def test_other_pages_stay_as_they_are(home):
    source = ["{live} {verdicts: claims of this book}"]
    front.fill(SimpleNamespace(srcdir=home), "book/notation", source)
    assert source == ["{live} {verdicts: claims of this book}"]


def test_a_group_that_nobody_counted_is_refused(home):
    results = home / "book" / "chapters" / f"{front.CLAIMS}.results.json"
    with pytest.raises(ValueError, match="takes verdicts on sentences"):
        front.verdicts(results, "sentences")


def test_the_picture_stands_above_the_first_heading_and_every_chapter_is_linked():
    assert len(front.VERDICTS.findall(TEXT)) == 3
    assert TEXT.count(front.LIVE) == 1 and TEXT.index(front.LIVE) < TEXT.index("\n## ")
    assert [s.stem for s in runner.chapters() if f"<chapters/{s.stem}>" not in TEXT] == []


def test_next_leads_to_the_first_chapter():
    toc = yaml.safe_load((runner.root() / "_toc.yml").read_text(encoding="utf-8"))
    assert toc["parts"][0]["chapters"][0]["file"] == f"book/chapters/{runner.chapters()[0].stem}"
