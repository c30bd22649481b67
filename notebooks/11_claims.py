# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,alt,mystnb,editable
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Every claim and its verdict
#
# This chapter computes nothing new. It reads the results files that the other chapters left behind, one JSON file a
# chapter, and lays all their claims side by side: the paper's statement, the number that was expected, the number
# that was measured, and the verdict that follows from the two. A verdict is never typed: it is computed from the
# numbers in the same row, and the build fails when one of them changes against the tracked list.

# %% tags=["parameters"]
results = "book/chapters"   # a folder of *.results.json files: here, or in the repository

# %% tags=["hide-input"]
from typing import Annotated

from pydantic import AfterValidator

from phasebook.site.chapters.ledger import Ledger
from phasebook.site.chapters.parameters import Parameters
from phasebook.site.chapters.verdicts import results_folder


class Chapter(Parameters):
    results: Annotated[str, AfterValidator(results_folder)]


p = Chapter.read(globals())
ledger = Ledger("11_claims", p)

# %% [markdown]
# ## The count
#
# Four verdicts are possible. A statement **holds** when the measured number meets the expected one within the stated
# tolerance. It **holds with correction** when it fails as printed but a repaired form, given in the row, is met. It
# **fails** when neither is met: that includes every 'always' for which a counterexample was computed. What was not
# run is **not tested here**, and nothing is concluded from it.

# %% tags=["hide-input"] mystnb={"figure": {"name": "fig-claims-count", "caption": "Verdicts by chapter. Each bar counts the claims of one chapter."}}
from phasebook.site.chapters.verdicts import count_figure, read_results
from phasebook.site.figures.base import show

chapters = read_results(p.results)
show(count_figure(chapters), alt="Stacked horizontal bars, one a chapter: the number of claims with each verdict.")

# %% tags=["nbval-check-output", "hide-input"]
print(f"{len(chapters)} chapters, {sum(len(c.claims) for c in chapters)} claims read")

# %% [markdown]
# ## What failed, and what needed repair
#
# These rows come first because they are what a reader of the paper most needs to know. Each note says what the
# number means; the chapter named by the first word of the claim shows the measurement.

# %% tags=["hide-input"]
from IPython.display import HTML

from phasebook.site.chapters.ledger import claims_table

everything = [claim for chapter in chapters for claim in chapter.claims]
HTML(claims_table([c for c in everything if c.verdict in ("fails", "holds with correction")]))

# %% [markdown]
# ## What holds

# %% tags=["hide-input"]
HTML(claims_table([c for c in everything if c.verdict == "holds"]))

# %% [markdown]
# ## What was not tested here
#
# The paper's own experiment is DreamShaper-8, a Stable Diffusion 1.5 model, seen through CLIP ViT-B/32. No run of it
# stands behind this book. The statements below are about that experiment, or about parts of the paper that no chapter
# measures yet; they are listed so that silence is not mistaken for agreement.

# %% tags=["hide-input"]
from phasebook.site.chapters.verdicts import untested

for id, reference, statement in untested({c.id for c in everything}):
    ledger.claim(id, reference, statement, None, None, note="No chapter runs this experiment.")
HTML(claims_table([c for c in everything if c.verdict == "not tested here"] + list(ledger.claims.values())))

# %% [markdown]
# ## How the numbers were made
#
# One row a chapter: the wall time of its run on the machine that built these pages, the number of claims and raw
# numbers it recorded, and the versions of the packages that did the work.

# %% tags=["hide-input"]
from phasebook.site.chapters.verdicts import provenance_table

HTML(provenance_table(chapters))

# %% [markdown]
# ## What was shown, and what was not
#
# The table is as strong as its tolerances, and those are printed. Claims about constants and orders of convergence
# are settled to several digits. Claims about images are settled for an exact denoiser of a finite picture set, where
# the score is the true one; they say what the data alone can produce, and nothing about what a trained network adds.

# %% tags=["results", "hide-input"]
from phasebook.site.chapters.verdicts import count

ledger.number("verdicts", count(everything + list(ledger.claims.values())), "claims")
ledger.emit()
