"""Verdicts under other seeds: what flips, what wavers; on a toy chapter and on lists of verdicts."""

import json

import pytest

from phasebook.site.build import stability
from phasebook.site.build.sources import chapters, defaults
from phasebook.site.build.stability import compared, experimental, other_seeds

SEEDED = {'factor = 2\n': 'factor = 2\nseed = 4\nimage_set = "toy"\n',
          "    path: str\n": "    path: str\n    seed: int\n    image_set: str\n",
          "(2 * p.factor) % 2)": "(2 * p.factor) % 2)\n"
                                 "ledger.claim('toy.noise', 1.0 if p.seed < 50 else -1.0)\n"
                                 "ledger.claim('toy.near', 1.0, (0.5, 2.0) if p.seed < 50 else (-0.5, 2.0))"}
NOISE = '''toy.{name}:
  kind: book
  reference: toy
  statement: A number that follows the seed is positive.
  bound: ">= 0"
'''


def test_a_verdict_flips_only_between_holds_and_fails():
    found = compared([{"a": "holds", "b": "holds", "c": "undecided", "d": "fails", "e": "holds with correction"},
                      {"a": "holds", "b": "fails", "c": "undecided", "d": "undecided", "e": "fails"}])
    assert found.flips == ("b",) and found.wavers == ("d",)
    assert found.share == pytest.approx(1 / 4)                 # of the four that the first run decides


def test_a_claim_that_a_rerun_cannot_make_does_not_flip():
    found = compared([{"a": "holds"}, {}])
    assert found.verdicts["a"] == ("holds", "not tested here") and found.flips == found.wavers == ()


def test_the_experimental_chapters_have_seeds_of_their_own():
    names = [source.stem for source in experimental()]
    assert "15_hierarchy" in names and "01_heat_and_transport" not in names and len(names) < len(chapters())
    for source in experimental():
        own, moved = defaults(source), other_seeds(source, 1, {})
        assert moved and all(moved[name] - own[name] >= 100_000 for name in moved)
        assert other_seeds(source, 0, {"grid": 5}) == {"grid": 5}


def test_a_toy_that_follows_its_seed_is_caught(house, phasebook, capsys):
    file = house / "notebooks" / "01_toy.py"
    text = file.read_text()
    for old, new in SEEDED.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    claims = house / "notebooks" / "claims" / "01_toy.yaml"
    claims.write_text(claims.read_text() + NOISE.format(name="noise") + NOISE.format(name="near"))
    assert phasebook("stability", "1", "--seeds", "1", "-o", house / "again") == 1
    said = capsys.readouterr()
    assert "flips: toy.noise: holds | fails" in said.out and "wavers: toy.near: holds | undecided" in said.out
    assert "1 of 3 verdicts stand, 1 waver, 1 flip" in said.out and "more than one in twenty" in said.err
    kept = json.loads((house / "again" / "stability.json").read_text())
    assert kept["verdicts"]["toy.double"] == ["holds", "holds"]


def test_no_seed_and_no_rerun_are_refused(house, phasebook, capsys):
    assert phasebook("stability", "1", "-o", house / "again") == 2
    assert "has no seed" in capsys.readouterr().err
    assert phasebook("stability", "--seeds", "0", "-o", house / "again") == 2
    assert phasebook("stability", "--seeds", 10**11, "-o", house / "again") == 2
    assert "--seeds 100000000000: takes a number of reruns, 1 to 1000" in capsys.readouterr().err
    assert stability.experimental() == [] and not (house / "again").exists()
