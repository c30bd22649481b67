"""The book of a toy house: built, compared, and the same bytes wherever and whenever."""

import json
import os
import subprocess
import threading

import pytest

from phasebook.site.build import book, layout, runner


def test_verdicts_are_compared_with_the_tracked_list(house, phasebook):
    out = house / "book" / "chapters"
    assert phasebook("run", "1", "-o", out) == 0
    found = book.verdicts(out)
    assert found == {"toy.double": "holds"}
    tracked = house / book.TRACKED
    with pytest.raises(runner.ChapterError, match="toy.double: absent -> holds"):
        book.compare_verdicts(found)
    tracked.write_text(json.dumps({"toy.double": "undecided"}))
    with pytest.raises(runner.ChapterError, match="toy.double: undecided -> holds"):
        book.compare_verdicts(found)
    tracked.write_text(json.dumps(found))
    book.compare_verdicts(found)
    with pytest.raises(runner.ChapterError, match="toy.double: holds -> absent"):
        book.compare_verdicts({})


def test_a_claim_of_two_chapters_is_refused(house, phasebook):
    out = house / "book" / "chapters"
    assert phasebook("run", "1", "-o", out) == 0
    (house / "notebooks" / "02_toy.py").write_text("")
    (out / "02_toy.results.json").write_text((out / "01_toy.results.json").read_text())
    with pytest.raises(runner.ChapterError, match="recorded by two chapters: toy.double"):
        book.verdicts(out)


@pytest.mark.parametrize("name", ["file", "file/below", "x" * 300], ids=["file", "below", "long"])
def test_a_folder_that_cannot_be_built_in_is_one_line(house, phasebook, tmp_path, capsys, name):
    (tmp_path / "file").write_text("")
    assert phasebook("book", "--to", tmp_path / name) == 2
    said = capsys.readouterr().err
    assert "--to" in said and "cannot be written" in said and said.count("\n") == 1


def test_an_unknown_profile_is_refused_before_anything_is_made(house, phasebook, tmp_path, capsys):
    assert phasebook("book", "--profile", "huge", "--to", tmp_path / "to") == 2
    assert "profile = 'huge'" in capsys.readouterr().err and not (tmp_path / "to").exists()


def test_the_chapter_that_is_begun_first_is_there():
    assert book.LONGEST in {source.stem for source in runner.chapters()}


def test_chapters_run_a_few_at_a_time():
    met, done = threading.Barrier(2, timeout=20), []

    def task(name):
        met.wait()              # no one passes alone
        done.append(name)

    book._side_by_side(task, list("abcd"), 2)
    assert sorted(done) == list("abcd")


def test_after_an_error_no_chapter_begins_and_what_runs_is_finished():
    met, lanes, done = threading.Barrier(2, timeout=20), {}, []

    def task(name):
        lanes[name] = threading.current_thread()
        if name in "ab":
            met.wait()
        if name == "a":
            raise runner.ChapterError("a: cell 1")
        lanes["a"].join(20)
        done.append(name)

    with pytest.raises(runner.ChapterError, match="a: cell 1"):
        book._side_by_side(task, list("abcd"), 2)
    assert done == ["b"]


@pytest.mark.slow
def test_a_build_is_the_same_bytes_and_is_repaired_where_it_was_touched(prose, tmp_path, monkeypatch):
    said = []

    def build(to):
        said.clear()
        return book.build("default", to, say=said.append)

    def content(folder):
        return {f.relative_to(folder).as_posix(): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}

    one = tmp_path / "one"
    html = build(one)
    whole = content(one)
    assert {"_build/html/index.html", "_build/times.json", "book/chapters/using.ipynb"} <= set(whole)
    assert b"42" in whole["_build/html/book/chapters/using.html"]
    assert json.loads(whole["_build/times.json"])["01_toy"]["versions"]["python"]
    build(one)
    assert "pages ..." not in said and content(one) == whole
    stamped = layout.of_tree(html)
    (html / "_static" / "plotly.min.js").unlink()
    assert layout.of_tree(html) != stamped
    (html / "_static" / "plotly.min.js").write_bytes(whole["_build/html/_static/plotly.min.js"])
    assert layout.of_tree(html) == stamped
    (html / "book" / "intro.html").write_text("edited")
    build(one)
    assert "pages ..." in said and content(one) == whole


@pytest.mark.parametrize("number", [2, 9, 15])
def test_pages_that_are_stopped_are_one_line_and_the_old_ones_stay(prose, monkeypatch, number):
    old = prose / "_build" / "html" / "old.html"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    stopped = subprocess.CompletedProcess([], -number, "Running\nmany lines\n")
    monkeypatch.setattr(layout.subprocess, "run", lambda *a, **k: stopped)
    with pytest.raises(runner.ChapterError, match=r"^the pages were not built: Sphinx was stopped \(SIG[A-Z]+\)$"):
        layout.lay_out(prose, lambda line: None)
    assert [f.name for f in (prose / "_build").iterdir()] == ["html"] and old.read_text() == "old"


@pytest.mark.parametrize("first", [True, False], ids=["before", "between"])
def test_a_stop_as_the_pages_are_exchanged_keeps_the_old_ones(tmp_path, monkeypatch, first):
    html, new, old = (tmp_path / name for name in ("html", "new", "old"))
    for folder in (html, new):
        folder.mkdir()
        (folder / "index.html").write_text(folder.name)
    whole, calls = os.replace, []

    def stopped(source, target):
        calls.append(source)
        if len(calls) == 2 - first:
            raise KeyboardInterrupt
        whole(source, target)

    monkeypatch.setattr(os, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        layout._exchange(html, new, old)
    assert (html / "index.html").read_text() == "html"


def test_a_broken_reference_fails_the_build_and_keeps_the_old_pages(prose):
    (prose / "_toc.yml").write_text("format: jb-book\nroot: book/intro\nchapters:\n  - file: book/other\n")
    (prose / "book" / "other.md").write_text("# Other\n")
    (prose / "book" / "intro.md").write_text("# Title\n\nSee {numref}`fig-nowhere`.\n")
    old = prose / "_build" / "html" / "old.html"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    with pytest.raises(runner.ChapterError, match="fig-nowhere"):
        layout.lay_out(prose, lambda line: None)
    assert [f.name for f in (prose / "_build").iterdir()] == ["html"] and old.read_text() == "old"
