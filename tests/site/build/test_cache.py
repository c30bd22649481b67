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


def test_what_is_only_said_names_no_file(house, monkeypatch):
    """A prompt may be called as a folder is, and `cpu` as well."""
    monkeypatch.setattr(cache, "_named", lambda value: pytest.fail(value) if value == "/" else [])
    source, said = house / "notebooks" / "01_toy.py", {"prompt": "/", "edits": [["/", "/"]]}
    assert cache.cache_key(source, said) != cache.cache_key(source, {})


def test_key_depends_on_imported_modules_only(house):
    imported = {f.relative_to(house / "src").as_posix() for f in cache.imported(house / "notebooks" / "01_toy.py")}
    assert "phasebook/site/results/ledger.py" in imported and "phasebook/site/results/results.schema.json" in imported
    assert not [f for f in imported if "/theory/" in f or "/models/" in f]
