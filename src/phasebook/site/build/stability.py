"""Whether verdicts are the data's or the seeds': experimental chapters run again with other seeds and other anchors.

A verdict *flips* where one run says `holds` and another `fails`: of these there should be none, since an interval of
95 % that lies on one side of a bound is seldom followed by one on the other. It *wavers* where some runs are undecided:
the bound is near, and more data would tell.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from phasebook.site.build import runner, sources
from phasebook.site.build.files import publish, writable
from phasebook.site.build.sources import ChapterError
from phasebook.site.checks.parameters import ParameterError
from phasebook.site.results.ledger import Results

__all__ = ["Stability", "compared", "experimental", "other_seeds", "run"]

MARKS = {"anchors_seed", "image_set"}           # who has one of these parameters measures on drawn data
STRIDE = 100_000        # between the seeds of two runs: chapters count on from a seed by a few thousand
MOST = 1000             # reruns
TOLERATED = 0.05        # share of the decided verdicts that may flip
DECIDED = {"holds": "holds", "holds with correction": "fails", "fails": "fails"}


class Stability(NamedTuple):
    """Attributes:
    verdicts: of every claim in every run, the book's own first.
    flips: the claims that hold in one run and fail in another.
    wavers: those that are decided in one and undecided in another, and do not flip.
    """

    verdicts: Mapping[str, tuple[str, ...]]
    flips: tuple[str, ...]
    wavers: tuple[str, ...]

    @property
    def share(self) -> float:
        """Of the claims that the book's own run decides, the share that flips."""
        decided = [name for name, words in self.verdicts.items() if words[0] in DECIDED]
        return len(set(self.flips) & set(decided)) / max(1, len(decided))


def experimental() -> list[Path]:
    """The chapters whose verdicts depend on drawn latents or pictures."""
    return [source for source in sources.chapters() if MARKS & set(sources.defaults(source))]


def other_seeds(source: Path, number: int, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of rerun `number`: every seed of the chapter moved on.

    Args:
        source: of the chapter.
        number: from 1; 0 gives the parameters as they are.
        changes: parameters that differ from the chapter's own in all runs.

    Raises:
        ParameterError: for a chapter without a seed.
    """
    values = {**sources.defaults(source), **changes}
    seeds = {name: value for name, value in values.items() if name == "seed" or name.endswith("_seed")}
    if not seeds:
        raise ParameterError(f"CHAPTER = {source.stem!r}: has no seed; takes one of "
                             f"{', '.join(s.stem for s in experimental())}")
    moved = {name: value + STRIDE * number for name, value in seeds.items()} if number else {}
    return {**changes, **moved}


def compared(runs: Sequence[Mapping[str, str]]) -> Stability:
    """Which verdicts change.

    Args:
        runs: verdicts by claim, the book's own first. A claim that a run does not have is `not tested here` there.
    """
    names = dict.fromkeys(name for run in runs for name in run)
    words = {name: tuple(run.get(name, "not tested here") for run in runs) for name in names}
    sides = {name: {DECIDED[w] for w in row if w in DECIDED} for name, row in words.items()}
    flips = tuple(name for name, side in sides.items() if len(side) > 1)
    wavers = tuple(name for name, side in sides.items() if len(side) == 1 and "undecided" in words[name])
    return Stability(words, flips, wavers)


def run(chosen: Sequence[Path], seeds: int, out: Path, profile: str = "default",
        say: Callable[[str], None] = print) -> Stability:
    """Run chapters again with other seeds, and compare; the numbers of all runs stay in `out`.

    Args:
        chosen: sources of chapters; none for all experimental ones.
        seeds: reruns.
        out: folder of the reruns, one folder each, and of `stability.json`. A run that is there already and still
            stands is not repeated.
        profile: parameters of all runs.
        say: what takes a line of progress.

    Raises:
        ParameterError: for a chapter without a seed.
        ChapterError: more than one in twenty of the decided verdicts flips.
    """
    if not 1 <= seeds <= MOST:
        raise ParameterError(f"--seeds {str(seeds)[:40]}: takes a number of reruns, 1 to {MOST}")
    chosen = list(chosen) or experimental()
    plans = [[other_seeds(s, k, runner.profile(profile, s)) for s in chosen] for k in range(seeds + 1)]
    runs = []
    for k, plan in enumerate(plans):
        folder = runner.root() / "book" / "chapters" if k == 0 and profile == "default" else out / str(k)
        verdicts = {}
        for source, changes in zip(chosen, plan, strict=True):
            done = runner.run(source, changes, folder, progress=False)
            say(f"seeds {k}, {source.stem}: " + (f"{done.seconds:.1f} s" if done.seconds else "unchanged"))
            claims = Results.model_validate_json(done.results.read_text(encoding="utf-8")).claims
            verdicts |= {claim.id: claim.verdict for claim in claims}
        runs.append(verdicts)
    stability = compared(runs)
    with writable(out, "-o"):
        publish({out / "stability.json": json.dumps(stability._asdict(), indent=1) + "\n"})
    _report(stability, say)
    return stability


def _report(stability: Stability, say: Callable[[str], None]) -> None:
    """What changed, a line a claim; ChapterError where too much did."""
    for word, names in (("flips", stability.flips), ("wavers", stability.wavers)):
        for name in names:
            say(f"{word}: {name}: {' | '.join(stability.verdicts[name])}")
    steady = len(stability.verdicts) - len(stability.flips) - len(stability.wavers)
    say(f"{steady} of {len(stability.verdicts)} verdicts stand, {len(stability.wavers)} waver, "
        f"{len(stability.flips)} flip")
    if stability.share > TOLERATED:
        raise ChapterError(f"{len(stability.flips)} verdicts flip with the seed, more than one in twenty: "
                           f"{', '.join(stability.flips)}")
