"""Runs side by side: what differs is in the page, and what is no run is refused in a line."""

import json
from pathlib import Path

import pytest

from phasebook.site import verbs
from phasebook.site.checks.parameters import ParameterError
from phasebook.site.results.compare import page, read
from phasebook.site.results.ledger import Claim, Results, Value


def run(grid, estimate, chapter="01_toy"):
    claim = Claim(id="toy.one", kind="book", reference="x", statement="One & <two>.", estimate=estimate, interval=None,
                  bound=">= 0", verdict="holds" if estimate >= 0 else "fails")
    return Results(chapter=chapter, parameters={"grid": grid, "seed": 0}, versions={}, claims=[claim],
                   numbers={"n": Value(value=grid, unit="1"), "all": Value(value=[1, 2], unit="1")})


def test_what_differs_is_shown():
    text = page([("a<b", run(3, 1.0)), ("b", run(5, -1.0))])
    assert "<code>grid</code></td><td>3</td><td>5</td>" in text and "<code>seed</code>" not in text
    assert "✓ holds" in text and "✕ fails" in text and text.count('class="differs"') == 2
    assert "One &amp; &lt;two&gt;." in text and "a&lt;b" in text
    assert "<code>n</code> 1</td><td>3</td><td>5</td>" in text and "<code>all</code>" not in text
    assert "Parameters that differ: none." in page([("a", run(3, 1.0)), ("b", run(3, 1.0))])


def test_a_run_is_a_file_a_folder_or_a_notebook(tmp_path):
    one = run(3, 1.0)
    file = tmp_path / "01_toy.results.json"
    file.write_text(one.model_dump_json())
    output = {"output_type": "display_data", "data": {"application/json": one.model_dump(mode="json")}}
    book = {"cells": [{"metadata": {"tags": ["results"]}, "outputs": [output]}, {"metadata": {}}]}
    (tmp_path / "run.ipynb").write_text(json.dumps(book))
    assert read(file) == read(tmp_path) == read(tmp_path / "run.ipynb") == one


@pytest.mark.parametrize(("name", "text", "said"), [
    ("gone.json", None, "is no run"), ("a.json", "{}", "is no run"), ("a.ipynb", '{"cells": []}', "no ledger in it"),
    ("folder/x", "", "holds 0 results files"), ("b.ipynb", '{"cells": [{"metadata": []}]}', "is no run"),
    ("c.ipynb", '{"cells": [{"metadata": {"tags": ["results"]}, "outputs": [5]}]}', "is no run"),
    ("d.ipynb", "[" * 100_000, "is no run"), ("e" * 300, None, "is no run"),
])
def test_what_is_no_run_is_one_line(tmp_path, name, text, said):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    if text is not None:
        file.write_text(text)
    with pytest.raises(ParameterError, match=said) as error:
        read(file.parent if name.startswith("folder") else file)
    assert "\n" not in str(error.value)


def test_one_run_and_runs_of_two_chapters_are_refused():
    with pytest.raises(ParameterError, match="1 of them"):
        page([("a", run(3, 1.0))])
    with pytest.raises(ParameterError, match="of 01_toy, 02_toy"):
        page([("a", run(3, 1.0)), ("b", run(3, 1.0, "02_toy"))])


def test_what_a_run_says_is_text_and_all_runs_are_asked():
    one, two = run(3, 1.0, "<script>"), run(5, 1.0, "<script>")
    two.parameters["zzz"], two.numbers["m"] = "\ud800", Value(value=10**400, unit="1")
    two.numbers["k"] = Value(value=2.0, unit="m")
    text = page([("a", one), ("b", two)])
    assert "<script>" not in text and "&lt;script&gt;" in text and text.encode()
    assert "<code>zzz</code>" in text and "<code>k</code> m" in text


def test_runs_have_names_of_their_own_and_nothing_else_is_written_over(tmp_path, capsys):
    for k, folder in enumerate(("lr0.1", "lr0.2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "01_toy.results.json").write_text(run(k, 1.0).model_dump_json())
    folders, out = [str(tmp_path / "lr0.1"), str(tmp_path / "lr0.2")], tmp_path / "c.html"
    assert verbs.do(["compare", *folders, "-o", str(out)]) == 0
    assert "<th>lr0.1</th><th>lr0.2</th>" in out.read_text()
    alike = [f"{folder}/01_toy.results.json" for folder in folders]
    (tmp_path / "link.html").symlink_to(out)
    assert verbs.do(["compare", *alike, "-o", str(tmp_path / "link.html")]) == 0
    assert f"<th>{alike[0]}</th><th>{alike[1]}</th>" in out.read_text() and (tmp_path / "link.html").is_symlink()
    before = Path(alike[0]).read_bytes()
    assert verbs.do(["compare", *folders, "-o", alike[0]]) == 2 and Path(alike[0]).read_bytes() == before
    assert "takes the name of a page, such as compare.html" in capsys.readouterr().err
