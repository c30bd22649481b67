"""The key of a run: it covers what the run depends on, and nothing else."""

import pytest

from phasebook.site.build import cache


def test_key_reads_home_and_repository_paths_and_outlives_unreadable_files(house, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    source = house / "notebooks" / "01_toy.py"
    for value, file in (("~/a.npy", tmp_path / "a.npy"), ("assets/b.npy", house / "assets" / "b.npy")):
        file.write_text("one")
        before = cache.cache_key(source, {"path": value})
        file.write_text("two")
        assert cache.cache_key(source, {"path": value}) != before
    assert cache.cache_key(source, {"path": "[" + "0, " * 200 + "0]"})     # longer than any file name
    monkeypatch.setattr(cache, "_files", lambda path: [tmp_path / "gone"])
    assert len(cache.cache_key(source, {})) == 64


def test_key_reads_what_a_list_names_that_is_given_as_text(house, tmp_path):
    """As `-p models '["mine"]'` gives it."""
    source, file = house / "notebooks" / "01_toy.py", tmp_path / "model" / "config.json"
    file.parent.mkdir()
    for given in ([str(file.parent)], f'["{file.parent}"]', f'[["{file.parent}"], "exact"]'):
        file.write_text("one")
        before = cache.cache_key(source, {"models": given})
        file.write_text("two")
        assert cache.cache_key(source, {"models": given}) != before


def test_key_knows_the_folder_of_a_picture(house, tmp_path):
    """It is the picture's family."""
    source = house / "notebooks" / "01_toy.py"
    for place in "a/1.png", "a/2.png", "b/3.png":
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text("a picture")
    before = cache.cache_key(source, {"image_set": str(tmp_path)})
    (tmp_path / "a" / "2.png").rename(tmp_path / "b" / "2.png")
    moved = cache.cache_key(source, {"image_set": str(tmp_path)})
    (tmp_path / "a").rename(tmp_path / "Äpfel [1]")
    assert len({before, moved, cache.cache_key(source, {"image_set": str(tmp_path)})}) == 3


def test_key_reads_the_students_beside_a_network(house, tmp_path):
    source, network = house / "notebooks" / "01_toy.py", tmp_path / "mine [1]"
    student = tmp_path / "mine [1]-in-4" / "student.json"
    for place in network, student.parent:
        place.mkdir()
    before = cache.cache_key(source, {"network": str(network)})
    student.write_text("{}")
    assert cache.cache_key(source, {"network": str(network)}) != before


def test_what_is_only_said_names_no_file(house, monkeypatch):
    """A prompt may be called as a folder is, and `cpu` as well."""
    monkeypatch.setattr(cache, "_named", lambda value: pytest.fail(value) if value == "/" else [])
    source, said = house / "notebooks" / "01_toy.py", {"prompt": "/", "edits": [["/", "/"]]}
    assert cache.cache_key(source, said) != cache.cache_key(source, {})


def test_key_depends_on_imported_modules_only(house):
    imported = {f.relative_to(house / "src").as_posix() for f in cache.imported(house / "notebooks" / "01_toy.py")}
    assert "phasebook/site/results/ledger.py" in imported and "phasebook/site/results/results.schema.json" in imported
    assert not [f for f in imported if "/theory/" in f or "/models/" in f]
