# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Every claim and its verdict
#
# **How much of the paper stands?**
#
# :::{admonition} Answer
# :class: tip
# Of 90 verdicts on its sentences 31 hold, 9 hold with a correction, 15 fail, 27 are undecided and 8 were not tested here; some
# sentences have several, one for each model or reading. They are taken as printed or in a precise form that we give to them, and
# only they say how the paper fares. The first table below counts them in its top row. The rows beneath count claims that
# this book adds and tests of its solvers against known answers: they say whether the book can be trusted, and nothing
# about the paper.
# :::
#
# This chapter computes nothing new. It reads the results files that the other chapters left behind, one JSON file a
# chapter, and lays all their claims side by side. What is claimed, and the bound that a number has to meet, stands in
# `notebooks/claims/`, apart from the runs, and is not altered after one. The chapter adds an estimate and, where chance enters, its 95 %
# interval. The verdict follows from estimate, interval and bound by one rule; it is never typed, and the build fails
# when one changes against the tracked list.

# %% tags=["parameters"]
results = "book/chapters"   # a folder of *.results.json files: here, or in the repository

# %% tags=["hide-input"]
from phasebook.site.results.ledger import Ledger
from phasebook.site.results.verdicts import Chapter

p = Chapter.read(globals())
ledger = Ledger("19_claims", p)

# %% [markdown]
# ## Before counting: what was not run
#
# The paper's own experiment is DreamShaper-8, a Stable Diffusion 1.5 model, with CLIP ViT-B/32 as its eye. No run of it
# stands behind this book, and its Figures 3, 4 and 5 cannot be repeated by anyone, since the latents on which they stand
# were not published. These sentences are recorded without a number, so that silence is not mistaken for agreement.

# %%
reasons = {
    "sd.slice": "DreamShaper-8 was not run here; the profile sd15 runs it on a GPU.",
    "sd.pairs": "The latents behind the figures are not published.",
    "sd.edits": "The latents behind the figure are not published.",
}
for name, reason in reasons.items():
    ledger.claim(name, None, note=reason)

# %% [markdown]
# Nothing in this book is a verdict on them.
#
# ## The count
#
# Five verdicts are possible. A statement **holds** when its whole interval meets the bound; a number without
# uncertainty is an interval of one point. It **fails** when no point of the interval meets it: that includes every
# 'always' for which a counterexample was computed. It **holds with correction** when it fails as printed but a repaired
# form, given in the row, holds. It is **undecided** when the interval lies on both sides of the bound, or there is none: the data are too few for one, or the row's
# note says why else nothing is decided. What was not run, or left nothing that could be measured, is **not tested here**, and nothing is concluded from it.

# %%
from IPython.display import HTML

from phasebook.site.results.verdicts import count_table, read_results

chapters = read_results(p.results)
everything = list(ledger.claims.values())
for chapter in chapters:
    everything += chapter.claims
HTML(count_table(everything))

# %% tags=["nbval-check-output", "hide-input"]
print(f"{len(chapters)} chapters, {len(everything)} claims")

# %% [markdown]
# By chapter, the same claims:

# %% mystnb={"figure": {"caption": "Verdicts by chapter. On the left the sentences of the paper, on the right the claims that this book adds and the tests of its solvers.", "name": "fig-claims-count"}} tags=["hide-input"]
from phasebook.site.figures.base import show
from phasebook.site.results.verdicts import count_figure

show(count_figure([*chapters, ledger.results()]), alt="Stacked horizontal bars, one a chapter, in two panels: the number of claims with "
     "each verdict, for the paper's sentences and for all others.")

# %% [markdown]
# A short bar on the left is no fault of a chapter: some chapters answer a question that the paper raises without
# stating anything that could be tested, and then their claims are ours.
#
# ## Find a claim
#
# Every row below leads to the section of its chapter, to the figure that stands nearest, to the code that records the number, and to the file in which the
# bound was set. In the page the rows can be asked for by kind, verdict, chapter and words; the question stands in the address, so that it can be sent.
# The arrow keys go from row to row.

# %% tags=["hide-input"]
from phasebook.site.results.verdicts import filter_form

HTML(filter_form(chapters))

# %% [markdown]
# Without scripts the rows below are simply all there.
#
# ## The paper's sentences that fail, or need repair
#
# These rows come first because they are what a reader of the paper most needs to know. Each note says how the number
# was made; the line of links beneath a claim leads to the measurement.

# %% tags=["hide-input"]
from phasebook.site.results.tables import claims_table

paper = [c for c in everything if c.kind in ("paper", "reading")]
HTML(claims_table([c for c in paper if c.verdict in ("fails", "holds with correction")]))

# %% [markdown]
# A **reading** among them is a precise form that we gave to a sentence which could be understood in several ways. When
# a reading fails, another may hold; the chapters say which ones were tried.
#
# ## The paper's sentences that hold
#
# A row holds as far as its interval and the models of this book reach, and no further.

# %% tags=["hide-input"]
HTML(claims_table([c for c in paper if c.verdict == "holds"]))

# %% [markdown]
# The narrowest of them are named further down, under *verdicts and chance*.
#
# ## Undecided, and not tested here
#
# Sentences whose interval lies on both sides of their bound or that have none, and those of which nothing was or could be measured.

# %% tags=["hide-input"]
HTML(claims_table([c for c in paper if c.verdict in ("undecided", "not tested here")]))

# %% [markdown]
# An undecided row is not a weak 'holds' nor a weak 'fails'. Its interval says how far the data of this book reach; where there is none, the data are too few for one, or its note says why else.
#
# ## What this book adds
#
# Nobody but us made these statements: sharp constants, nulls, and what takes the place of sentences that fail.

# %% tags=["hide-input"]
HTML(claims_table([c for c in everything if c.kind == "book"]))

# %% [markdown]
# A row that fails here is a negative result of ours, and is kept like any other.
#
# ## Solvers against oracles
#
# Routines of this book, held against closed forms and against code that knows nothing of them.

# %% tags=["hide-input"]
HTML(claims_table([c for c in everything if c.kind == "check"]))

# %% [markdown]
# Where one of these fails, the numbers that rest on it have to be read with doubt, whatever their verdicts; its chapter says which.
#
# ## What chance alone may have done
#
# Many verdicts here rest on an interval, and each was read by itself. A decided verdict is false when its interval lies on one side of
# the bound and the truth on the other. The intervals cover 95 % at the sizes in use, which is tested by simulation, so for a bound with one end that
# happens with a probability of at most 2.5 %. A bound with two ends can be missed on either side: a false *fails* of such a one has up to 5 %. Over a whole book it adds up. Were every interval stretched about its estimate until all of
# them hold *together* with 95 % (Bonferroni), some verdicts would be undecided, or a statement would lose the correction with which it holds. Those are the ones with the least margin.

# %%
from phasebook.site.figures.base import table
from phasebook.site.results.chance import chances

by_chance = chances(everything)
beside = table(("verdicts", "number"), [("that rest on an interval", by_chance.intervals), ("decided ones among them", by_chance.decided),
                                     ("of these false by chance alone, on average at most", f"{by_chance.false:.1f}"),
                                     (f"other ones, were all intervals {by_chance.factor:.2f} times as wide", ", ".join(by_chance.lost) or "none")], "Verdicts and chance")
HTML(f'<div class="pb-words">{beside}</div>')

# %% [markdown]
# A verdict in the last row is not wrong. It is one that a reader who looks at the whole table should not lean on alone.
#
# Chance enters by the seeds as well. `phasebook stability` runs the experimental chapters again with other seeds and other anchors and lists the
# verdicts that change; a verdict that flips between *holds* and *fails* would have to be called undecided.
#
# ## How the numbers were made
#
# One row a chapter: the number of claims and raw numbers it recorded, and the versions of the packages that did the
# work. The times of a build, which differ from machine to machine, stand beside the pages in `_build/times.json`.

# %% tags=["hide-input"]
from phasebook.site.results.verdicts import provenance_table

HTML(provenance_table(chapters))

# %% [markdown]
# The versions are those of the build that you read.
#
# ## What was shown, and what was not
#
# The tables are as strong as their bounds, and those are choices that no run alters. Claims about constants and orders of
# convergence on lines, circles and tori are settled to several digits. Claims about images are about an exact denoiser of a finite picture
# set, where the score is the true one, and about small networks trained for this book, of which many are undecided. Nothing here was measured on the
# paper's own model. Every interval was read by itself; the line under each table says how many there are, and so how
# many verdicts chance alone may have moved.

# %% tags=["results", "hide-input"]
from phasebook.site.results.verdicts import count

ledger.number("verdicts", count(everything), "claims")
ledger.emit(table=False)       # its own claims stand among the untested ones above
