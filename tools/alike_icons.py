"""Which things look alike in all styles: how many of a thing's pictures the CLIP of the other half calls by its name.

    python -m tools.alike_icons CLIP_A CLIP_B          # directories of the clips of the two halves

Writes assets/icons/alike.csv. The clips answer among all things; each is asked of the pictures that it has not learnt.
"""

import csv
import sys
from collections import Counter
from pathlib import Path

import torch
from torch.nn.functional import normalize

from phasebook.models.pictures.icons import icons
from phasebook.models.towers.clip import ClipFeatures


def seen(clip: ClipFeatures, half: str) -> tuple[Counter, Counter]:
    """How often each thing of a half is recognised, and how many pictures of it there are."""
    data = icons().only(half)
    words = clip.text(list(data.whats)).cpu()
    hits, of = Counter(), Counter()
    for index in torch.arange(len(data)).split(256):
        guess = (normalize(clip(data.floats(index) / 2 + 0.5), dim=-1).cpu() @ words.T).argmax(-1)
        what = data.what[index]
        of.update(what.tolist())
        hits.update(what[guess == what].tolist())
    return hits, of


def main(clip_a: str, clip_b: str) -> None:
    parts = seen(ClipFeatures.load(clip_b), "a"), seen(ClipFeatures.load(clip_a), "b")
    path = Path(__file__).parents[1] / "assets" / "icons" / "alike.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("what", "seen", "of"))
        for i, what in enumerate(icons().whats):
            table.writerow((what, sum(hits[i] for hits, _ in parts), sum(of[i] for _, of in parts)))


if __name__ == "__main__":
    main(*sys.argv[1:])
