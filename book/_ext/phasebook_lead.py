"""A chapter in one picture: beneath the box with its answer, a copy of the figure that says most, and where it stands.

A reader in a hurry meets a picture on the first screen or two; the argument keeps its order, and figures their numbers.
"""

import re

from docutils.nodes import Element, Text, admonition, caption, container, figure, paragraph, raw, reference

FIGURES = {
    "01_heat_and_transport": "fig-errors", "02_proof_and_corners": "fig-corners", "03_chain_of_transports": "fig-chain",
    "04_plane_chain": "fig-divisions", "05_singular_sets": "fig-disks", "06_complexity_and_drift": "fig-cells",
    "07_one_dimension": "fig-pitchfork", "08_spacetime": "fig-strips", "09_spacetime_of_images": "fig-circles",
    "10_transition_paths": "fig-mueller", "11_phase_boundaries": "fig-slice",
    "12_ridges_and_resolution": "fig-slope-on-ridges", "13_network_and_data": "fig-side-by-side",
    "14_same_basins": "fig-same-basins", "15_hierarchy": "fig-pairs", "16_temporal_transitions": "fig-trips",
    "17_edits": "fig-edits", "18_few_steps": "fig-portraits", "19_claims": "fig-claims-count",
}


def lead(app, doctree, docname: str) -> None:
    """Put the copy behind the first box of a chapter, in place."""
    name = docname.rpartition("/")[2]
    figures = {node["ids"][0]: node for node in doctree.findall(figure) if node.get("ids")}
    box = next(iter(doctree.findall(admonition)), None)
    chosen = figures.get(FIGURES.get(name, ""))
    if not re.match(r"\d\d_", name) or chosen is None or box is None:
        return
    numbers = app.env.toc_fignumbers.get(docname, {}).get("figure", {})
    made = copied(chosen, ".".join(map(str, numbers.get(chosen["ids"][0], ()))))
    if made is not None:
        box.parent.insert(box.parent.index(box) + 1, made)


def copied(chosen: Element, number: str) -> Element | None:
    """What a figure shows, under other ids, and its caption; None where nothing is drawn."""
    pictures = [node.astext() for node in chosen.findall(raw) if "html" in node.get("format", "")]
    if not pictures:
        return None
    html = re.sub(r'\b(id|data-for)="(pb-[\w-]+)"', r'\1="lead-\2"', "".join(pictures))
    words = next(iter(chosen.findall(caption)), None)
    below = paragraph("", "", reference("", "", Text(f"Fig. {number}"), refid=chosen["ids"][0], internal=True),
                      Text(", from below. "), classes=["pb-note"])
    below += [child.deepcopy() for child in (words.children if words else [])]     # copy.deepcopy takes the page along
    return container("", raw("", html, format="html"), below, classes=["pb-lead"])


def setup(app) -> dict:
    app.connect("doctree-resolved", lead, priority=700)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
