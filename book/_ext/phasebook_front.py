"""The front page: the live diagram, and how many claims have which verdict, both made when the pages are built.

`book/intro.md` holds the words and two marks: `{live}`, and `{verdicts: GROUP}` for each group of claims that chapter
14 counts; the numbers come from that chapter's results file.
"""

import json
import re
from pathlib import Path

import numpy as np

from phasebook.site.build.sources import CLAIMS

PAGE, LIVE, VERDICTS = "book/intro", "{live}", re.compile(r"\{verdicts: ([a-z ]+)\}")
SEEDS, STEPS, STEP = (6, 7, 8, 9), 30, 12           # the first seed is that of the chapters on slices
ALT = ("A slice of the latent space of an exact diffusion model of 420 emoji: on the left the predicted pictures, on "
       "the right the boundaries between them.")
WORDS = {"holds": ("holds", "hold"),
         "holds with correction": ("holds with a correction", "hold with a correction"),
         "fails": ("fails", "fail"), "undecided": ("is undecided", "are undecided"),
         "not tested here": ("was not tested here", "were not tested here")}


def diagram() -> str:
    """The live diagram of the emoji, on planes through twelve random latents. A book without it does without these
    imports."""
    from phasebook.models.exact import ExactModel
    from phasebook.models.pictures.image_sets import load_images
    from phasebook.site.figures.live import live_html
    from phasebook.slices.plane import seeded_anchors

    model = ExactModel.of(load_images("families", 64))
    bank = np.concatenate([seeded_anchors(model.shape, seed) for seed in SEEDS])
    return live_html(model, bank, model.levels(STEPS), alt=ALT, step=STEP)


def verdicts(results: Path, group: str) -> str:
    """'73 solvers against oracles: 70 hold, ...' from the results file of the chapter of claims.

    Raises:
        ValueError: the chapter counted no such group.
    """
    groups = json.loads(results.read_text(encoding="utf-8"))["numbers"]["verdicts"]["value"]
    if group not in groups:
        raise ValueError(f"{{verdicts: {group}}}: takes {', '.join(groups)}")
    counts = groups[group]
    parts = [f"{number} {words[number != 1]}" for verdict, words in WORDS.items() if (number := counts.get(verdict, 0))]
    return f"{sum(counts.values())} {group}: {', '.join(parts)}"


def fill(app, docname: str, source: list[str]) -> None:
    """The page's text with its marks replaced, in place."""
    if docname != PAGE:
        return
    results = Path(app.srcdir) / "book" / "chapters" / f"{CLAIMS}.results.json"
    text = VERDICTS.sub(lambda mark: verdicts(results, mark[1]), source[0])
    if LIVE in text:
        text = text.replace(LIVE, "\n".join(["```{raw} html", diagram(), "```"]))
    source[0] = text


def setup(app) -> dict:
    app.connect("source-read", fill)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
