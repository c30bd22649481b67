"""Sources: what a parameter file may hold, and readings that are equal."""

import os
import re
import time

import nbformat
import pytest

from phasebook.site.build import sources


@pytest.mark.parametrize(("text", "words"), [
    ("[1, 2]", "takes a flat mapping"), ("a: [", "is not YAML"), ("3: 4", "the key 3 is no text"),
    ("factor: 1\nfactor: 2", "the key 'factor' stands twice"), ("rows: [{a: 1, a: 2}]", "the key 'a' stands twice"),
    ("a: " + "[" * 5000 + "]" * 5000, "is nested too deeply"), ("x: " + "y" * 1_000_001, "is larger than"),
    ("a: !!python/name:os.system", "is not YAML"),
    ("a: &b [1, 2]\nc: [*b, *b]", "an alias, *b, is not taken"), ("a: !!timestamp x", "is not YAML"),
    ("a: 2026-99-99", "is not YAML"), ("? [1, 2]\n: 3", "is not YAML"),
    ("a: {2026-01-01: 1}", "is no text"), ("a: 0x" + "f" * 5000, "a number of 20000 bits"),
    ("a: 1" + ":1" * 5000, "a number of 29"),
], ids=lambda v: re.sub(r"\W+", "_", v)[:30])
def test_a_bad_parameter_file_is_one_line(house, phasebook, tmp_path, capsys, text, words):
    file = tmp_path / "p.yaml"
    file.write_text(text)
    assert phasebook("run", "1", "-f", file, "-o", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert f"-f {file}" in said and words in said and said.count("\n") == 1 and len(said) < 600


def test_a_file_that_is_no_text_or_no_file(tmp_path):
    (tmp_path / "p.yaml").write_bytes(b"path: caf\xe9\n")
    for file, words in ((tmp_path / "p.yaml", "is not UTF-8 text"), (tmp_path, "cannot be read")):
        with pytest.raises(sources.ParameterError, match=words):
            sources.given(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "p.yaml")
    with pytest.raises(sources.ParameterError, match="is a pipe"):
        sources.given(tmp_path / "p.yaml")


def test_thousands_of_names_are_read_in_seconds(house, phasebook, tmp_path, capsys):
    file = tmp_path / "p.yaml"
    file.write_text("".join(f"a{k}: 1\n" for k in range(30_000)))
    start = time.monotonic()
    assert phasebook("run", "1", "-f", file, "-o", tmp_path / "out") == 2
    assert "a0 = 1: unknown parameter" in capsys.readouterr().err and time.monotonic() - start < 15


def test_text_that_cannot_be_written_down_is_refused(house, phasebook, tmp_path, capsys):
    file = tmp_path / "p.yaml"
    file.write_text('path: "\\ud800"')
    assert phasebook("run", "1", "-f", file, "-o", tmp_path / "out") == 2
    assert capsys.readouterr().err == ("phasebook: path = '\\ud800': holds characters that are not text; "
                                       "takes UTF-8\n")


def test_two_readings_of_a_source_are_equal(house):
    source = house / "notebooks" / "01_toy.py"
    assert nbformat.writes(sources.notebook(source)) == nbformat.writes(sources.notebook(source))
    assert sources.defaults(source) == {"factor": 2, "path": "", "rows": [1.0]}


def test_imports_of_this_package_are_known_and_a_source_that_cannot_be_read_has_none(tmp_path):
    texts = {"a": b"from phasebook.stats import sem as s\nimport numpy\nfrom phasebook import Plane\n", "b": b"a = (\n",
             "c": b"caf\xe9 = 1\n", "d": b"from phasebook.stats import sem as s\nfrom os import path\n"}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text)
    assert sources.imports(tmp_path / name for name in texts) == ["from phasebook.stats import sem as s"]
