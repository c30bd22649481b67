"""Chapter 8: results files from elsewhere are read, or refused in one line before anything runs."""

import json

import pytest

from phasebook.site.build import runner
from phasebook.site.chapters import verdicts
from phasebook.site.chapters.ledger import Ledger, Results
from phasebook.site.chapters.parameters import ParameterError, Parameters


def results(chapter: str = "01_toy") -> Results:
    ledger = Ledger(chapter, Parameters())
    ledger.claim("toy.one", "Eq. (0)", "One is one.", 1.0, 1.0)
    return ledger.results()


@pytest.mark.parametrize("change, words", [
    (lambda text: text[:200], "01_toy.results.json is not a results file (Invalid JSON"),
    (lambda text: text.replace('"holds"', '"fails"'), "verdict 'fails' does not follow from its numbers ('holds')"),
    (lambda text: json.dumps({"a": 1}), "(chapter: Field required)"),
    (lambda text: None, "no *.results.json there"),
])
def test_bad_results_are_refused_before_anything_runs(tmp_path, change, words):
    text = change(results().model_dump_json())
    if text is not None:
        (tmp_path / "01_toy.results.json").write_text(text)
    with pytest.raises(ParameterError) as error:
        runner.check(runner.find_chapter("8"), {"results": str(tmp_path)})
    said = str(error.value)
    assert said.startswith(f"results = {str(tmp_path)!r}: ") and words in said and "takes" in said
    assert "\n" not in said and "pydantic" not in said


def test_versions_are_said_once_where_they_agree():
    one, other = results(), results("02_toy")
    words = "python " + one.versions["python"]
    assert verdicts.provenance_table([one, other]).count(words) == 1
    differs = other.model_copy(update={"versions": {"python": "2.7"}})
    assert verdicts.provenance_table([one, differs]).count("<td>python ") == 2


def test_the_chapter_runs_again_when_the_others_results_change(tmp_path):
    source, file = runner.find_chapter("8"), tmp_path / "01_toy.results.json"
    assert runner.defaults(source)["results"] == "book/chapters"         # a path, so that the key covers what it holds
    keys = set()
    for text in ("one", "two"):
        file.write_text(text)
        keys.add(runner.cache_key(source, {"results": str(tmp_path)}))
    assert len(keys) == 2
