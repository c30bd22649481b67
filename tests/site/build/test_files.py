"""Files that appear together or not at all."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from phasebook.site.build import book
from phasebook.site.build.files import publish, sweep


def test_all_are_written_and_nothing_else_is_left(tmp_path):
    publish({tmp_path / "a": b"1", tmp_path / "b": "é\n"})
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == {"a": b"1", "b": "é\n".encode()}


@pytest.mark.parametrize("old", [None, "old"])
def test_where_the_second_cannot_take_its_place_the_first_gives_it_back(tmp_path, old):
    (tmp_path / "b").mkdir()            # a folder stands where a file should
    if old:
        (tmp_path / "a").write_text(old)
    with pytest.raises(OSError):
        publish({tmp_path / "a": "new", tmp_path / "b": "new"})
    assert sorted(f.name for f in tmp_path.iterdir()) == (["a", "b"] if old else ["b"])
    assert old is None or (tmp_path / "a").read_text() == old


def test_an_interruption_between_the_two_leaves_what_was_there(tmp_path, monkeypatch):
    whole = os.replace

    def stopped(part, file):
        if file.name == "b":
            raise KeyboardInterrupt
        whole(part, file)

    monkeypatch.setattr(os, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        publish({tmp_path / "a": "new", tmp_path / "b": "new"})
    assert list(tmp_path.iterdir()) == []


def test_parts_of_a_killed_process_go_and_those_of_a_running_one_stay(tmp_path):
    dead, alive = tmp_path / ".a.json.999999999.part", tmp_path / f".a.json.{os.getppid()}.part"
    another, foreign = tmp_path / ".b.ipynb.999999999.part", tmp_path / ".film.mkv.999999999.part"
    others = [tmp_path / f".c.{kind}.999999999.part" for kind in ("py", "yaml", "yml", "html", "pdf")]
    for part in (dead, alive, another, foreign, *others):
        part.touch()
    publish({tmp_path / "a.json": "1"})
    assert {f.name for f in tmp_path.iterdir()} == {"a.json", alive.name, foreign.name}
    another.touch()
    sweep(tmp_path)
    sweep(tmp_path / "none")
    assert not another.exists() and foreign.exists()


def test_chapters_that_end_at_once_are_all_written_and_entered(tmp_path):
    """A part that another thread writes is no rest of a killed process, though it bears the number of this one."""
    def one(k):
        publish({tmp_path / f"{k}.json": "1"})
        sweep(tmp_path)
        book._note(tmp_path / "times.json", str(k), k)

    with ThreadPoolExecutor(8) as lanes:
        list(lanes.map(one, range(64)))
    assert len(list(tmp_path.iterdir())) == 65
    assert len(json.loads((tmp_path / "times.json").read_text())) == 64


@pytest.mark.skipif(os.name == "nt", reason="there is no umask")
@pytest.mark.parametrize(("mask", "mode"), [(0o027, 0o640), (0o077, 0o600), (0o022, 0o644)])
def test_files_are_as_open_as_the_user_lets_them_be(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        publish({tmp_path / "a": "1"})
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode
