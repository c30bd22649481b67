"""The chapter of claims: results files from elsewhere are read, or refused in one line before anything runs."""

import json

import pytest

from phasebook.site.build import cache, runner, sources
from phasebook.site.checks.parameters import ParameterError, Parameters
from phasebook.site.results import verdicts
from phasebook.site.results.claims import Stated
from phasebook.site.results.ledger import Ledger, Results

ONE, TWO = [s.stem for s in runner.chapters()][:2]


def results(chapter: str = ONE, **kinds: str) -> Results:
    """A chapter's results: a claim of each kind, given as name=kind, that holds."""
    ledger = Ledger(chapter, Parameters())
    kinds = kinds or {"one": "paper"}
    ledger.stated = {f"toy.{name}": Stated(kind=kind, reference="Eq. (0)", statement="One is one.", bound="1 +- 0")
                     for name, kind in kinds.items()}
    for name in kinds:
        ledger.claim(f"toy.{name}", 1.0)
    return ledger.results()


def refusal(folder) -> str:
    with pytest.raises(ParameterError) as error:
        runner.check(runner.find_chapter(sources.CLAIMS), {"results": str(folder)})
    said = str(error.value)
    assert said.startswith(f"results = {str(folder)!r}: ") and "takes" in said
    assert "\n" not in said and "pydantic" not in said
    return said


@pytest.mark.parametrize("change, words", [
    (lambda text: text[:200], f"{ONE}.results.json is not a results file (Invalid JSON"),
    (lambda text: text.replace('"holds"', '"fails"'), "verdict 'fails' does not follow from its numbers ('holds')"),
    (lambda text: json.dumps({"a": 1}), "(chapter: Field required)"),
    (lambda text: text.replace(ONE, TWO), f"(holds the results of {TWO})"),
    (lambda text: None, "no results file of a chapter there"),
], ids=["cut", "edited", "other", "another chapter's", "absent"])
def test_bad_results_are_refused_before_anything_runs(tmp_path, change, words):
    text = change(results().model_dump_json())
    if text is not None:
        (tmp_path / f"{ONE}.results.json").write_text(text)
    assert words in refusal(tmp_path)


def test_folders_that_are_none_are_refused(tmp_path):
    (tmp_path / f"{ONE}.results.json").mkdir()
    for folder in (tmp_path, tmp_path / "absent", "x" * 300):
        assert "no results file of a chapter there" in refusal(folder)
    (tmp_path / f"{TWO}.results.json").write_bytes(b"\xff\xfe")
    assert "is not a results file" in refusal(tmp_path)


def test_what_an_older_book_or_a_copy_left_is_not_counted(tmp_path):
    for name in (ONE, f"{ONE} (copy)", "06_phase_boundaries", sources.CLAIMS):
        text = results().model_dump_json()
        (tmp_path / f"{name}.results.json").write_text(text)
    assert [r.chapter for r in verdicts.read_results(str(tmp_path))] == [ONE]


def test_the_paper_is_counted_apart():
    found = results(a="paper", b="reading", c="book", d="check", e="check")
    counted = verdicts.count(found.claims)
    assert {group: words["holds"] for group, words in counted.items()} == {
        "verdicts on sentences of the paper": 2, "claims of this book": 1, "solvers against oracles": 2}
    assert sum(sum(words.values()) for words in counted.values()) == 5
    assert "<td>verdicts on sentences of the paper</td><td>2</td>" in verdicts.count_table(found.claims)
    bars = verdicts.count_figure([found]).data
    assert [b.x[0] for b in bars if b.name == "holds"] == [2, 3]
    assert {b.name for b in bars} == set(verdicts.VERDICTS) and "undecided" in verdicts.VERDICTS


def test_versions_are_said_once_where_they_agree():
    one, other = results(), results(TWO)
    words = "python " + one.versions["python"]
    assert verdicts.provenance_table([one, other]).count(words) == 1
    differs = other.model_copy(update={"versions": {"python": "2.7"}})
    assert verdicts.provenance_table([one, differs]).count("<td>python ") == 2


def test_the_chapter_runs_again_when_the_others_results_change(tmp_path):
    source, file = runner.find_chapter(sources.CLAIMS), tmp_path / "01_toy.results.json"
    assert sources.defaults(source)["results"] == "book/chapters"         # a path, so that the key covers what it holds
    keys = set()
    for text in ("one", "two"):
        file.write_text(text)
        keys.add(cache.cache_key(source, {"results": str(tmp_path)}))
    assert len(keys) == 2
