"""Claims as links: verdicts in the text, and in the ledger the way to section, figure, code and bound.

All of it follows from what is there: the results files give the verdicts, the doctree of a chapter the section and the
figure nearest to the cell that records a claim. Nothing is typed, and nothing needs a script.

- Where the text names a claim, as `heat.order`, its verdict stands behind the name and leads to the claim's row. In a
  box, as the answer of a chapter is, what was measured stands in place of the name, a number and its interval, and a
  claim that is made of several models has all of theirs.
- Beneath a cell that records claims they are listed with their verdicts.
- Where a chapter shows an equation of the paper, or names it as Eq. (13), its number leads to what is said of it.
- Where a row of the claims tables refers to a theorem or an equation of ours by its label, it gets its number.
- A row of the ledger gets a line of links, and what the filter of the ledger asks for.
"""

import json
import math
import re
import shutil
from html import escape
from pathlib import Path
from typing import NamedTuple

from docutils.nodes import (
    Admonition,
    Element,
    SkipNode,
    Text,
    container,
    figure,
    inline,
    literal,
    literal_block,
    math_block,
    paragraph,
    raw,
    reference,
    section,
    title,
)

from phasebook.site.build.sources import CLAIMS
from phasebook.site.paths import root
from phasebook.site.results.claims import stated
from phasebook.site.results.places import line_of, of_model, recorded_in
from phasebook.site.results.tables import rounded, typeset

TOY = 'class="pb-widget pb-toy"'
LEDGER = f"book/chapters/{CLAIMS}"
ROW = re.compile(r'<tr id="([^"]+)" role="row">(.*?)</td>', re.S)
LABEL = re.compile(r'(<div class="pb-note">\w+: )\(?((?:eq|prop|thm|cor|lem)-[\w-]+)\)?</div>')
FILES = "_sources/claims"
PAPER, STATEMENTS = "book/paper", "{statements}"
PARTS = (("Equations", lambda name: name.startswith("Eq")), ("Theorems", lambda name: name.startswith("Theorem")),
         ("Observations and figures (Section 3)", lambda name: name.startswith(("Sec. 3", "Section 3", "Fig"))),
         ("Other sentences", lambda name: True))
SECTIONS = {"Abstract": 0, "Introduction": 1, "Discussion": 4}     # places of the paper that go by a name


class Place(NamedTuple):
    """Where a claim is recorded: page, section, figure ('' for none), and the line of the source, if known."""

    page: str
    section: str
    heading: str
    figure: str
    line: int | None


def verdicts(folder: Path) -> dict[str, dict]:
    """All claims in the results files of a folder, by id, with their chapter."""
    found = {}
    for file in sorted(folder.glob("*.results.json")):
        results = json.loads(file.read_text(encoding="utf-8"))
        found |= {c["id"]: {**c, "chapter": results["chapter"]} for c in results["claims"]}
    return found


def statements(claims: dict[str, dict]) -> str:
    """The paper's sentences as Markdown tables, an equation or a section after the other."""
    groups: dict[str, list[dict]] = {}
    for claim in claims.values():
        if claim["kind"] in ("paper", "reading"):
            groups.setdefault(claim["reference"], []).append(claim)
    lines = []
    for part, title_of in PARTS:
        chosen = [name for name in groups if title_of(name)]
        lines += [f"## {part}", "", "| in the paper | statement, or a reading of it | claim |", "|---|---|---|"]
        for name in sorted(chosen, key=in_order):
            first, *more = groups.pop(name)
            marks = "".join(f'<span id="eq-{n}"></span>' for n in numbers(name))
            for mark, c in [(marks, first), *(("", c) for c in more)]:
                lines.append(f"| {mark}{name} | {escaped(c['statement'])} | `{c['id']}` |")
        lines.append("")
    return "\n".join(lines)


def numbers(reference: str) -> list[str]:
    """Of the equations that a reference names: '13' and '14' in 'Eqs. (13), (14)'."""
    return re.findall(r"\((\d+)\)", reference) if reference.startswith("Eq") else []


def in_order(reference: str) -> tuple:
    """Equations, figures, sections and theorems by their numbers, then by the words; those with a name where they stand
    in the paper."""
    named = [number for word, number in SECTIONS.items() if reference.startswith(word)]
    return (named + [int(n) for n in re.findall(r"\d+", reference)], reference)


def escaped(words: str) -> str:
    """Words as Markdown, with what stands below and above the line."""
    parts = re.split(r"(</?su[bp]>)", typeset(words))
    return "".join(part if k % 2 else re.sub(r"([\\|*_`<$])", r"\\\1", part) for k, part in enumerate(parts))


def fill(app, docname: str, source: list[str]) -> None:
    if docname == PAPER:
        source[0] = source[0].replace(STATEMENTS, statements(app.env.phasebook_verdicts))


def begin(app) -> None:
    claims = verdicts(Path(app.srcdir) / "book" / "chapters")
    told = {chapter: stated(chapter) for chapter in {c["chapter"] for c in claims.values()}}
    app.env.phasebook_verdicts = claims
    app.env.phasebook_owners = {i: of_model(i, told[c["chapter"]]) for i, c in claims.items()}
    app.env.phasebook_places = {}


def link_equations(app, doctree) -> None:
    """The paper's equations in a chapter, and where the text names one, lead to the page of its statements."""
    if not app.env.docname.startswith("book/chapters/"):
        return
    claims = app.env.phasebook_verdicts.values()
    known = {n for c in claims if c["kind"] in ("paper", "reading") for n in numbers(c["reference"])}
    for block in list(doctree.findall(math_block)):
        tags = [n for n in re.findall(r"\\tag\{(\d+)\}", block.astext()) if n in known]
        if tags:
            words = [Text("In the paper: "), *(to_paper(app, n, f"({n})") for n in tags)]
            block.parent.insert(block.parent.index(block) + 1, paragraph("", "", *words, classes=["pb-in-paper"]))
    for text in [n for n in doctree.findall(Text) if isinstance(n.parent, paragraph)]:
        pieces = re.split(r"(Eq\. \(\d+\))", text)
        if any(number in known for piece in pieces[1::2] for number in numbers(piece)):
            linked = [to_paper(app, numbers(p)[0], p) if k % 2 and numbers(p)[0] in known else Text(p)
                      for k, p in enumerate(pieces)]
            text.parent.replace(text, linked)


def to_paper(app, number: str, words: str) -> Element:
    page = app.builder.get_relative_uri(app.env.docname, PAPER)
    return reference("", words, refuri=f"{page}#eq-{number}", internal=True)


class claim_name(literal):
    """A claim's name, in which a line breaks at dots and strokes alone."""


def visit_claim_name(writer, node: claim_name) -> None:
    text = re.sub(r"[._]", r"\g<0><wbr>", escape(node.astext()))
    writer.body.append(f'<code class="docutils literal notranslate pb-name"><span class="pre">{text}</span></code>')
    raise SkipNode


def mark(app, doctree) -> None:
    """Verdicts behind names in the text; the places of a chapter's claims."""
    claims = app.env.phasebook_verdicts
    for name in [n for n in doctree.findall(literal) if not isinstance(n.parent, reference)]:
        box, words = boxed(name), name.astext()
        several = [i for i, owner in app.env.phasebook_owners.items() if box and i != words == owner]
        pieces = []
        for i in several or [words] * (words in claims):
            who = f"{whose(i.removeprefix(words)[1:])} " if several[1:] else ""
            # a reader of an answer wants the number; the chip leads to the name
            pieces.append([Text(f"{who}{measured(claims[i])} ") if box else claim_name(i, i), chip(app, i)])
            if not box:
                pieces[-1].insert(1, Text(" "))
        if pieces:
            joined(name, pieces)
    chapter = app.env.docname.rpartition("/")[2]
    told = stated(chapter)
    cells = [c for c in doctree.findall(container) if "cell" in c["classes"]]
    codes = ["\n".join(b.astext() for b in c.findall(literal_block) if typed(b)) for c in cells]
    there: dict[int, list[str]] = {}
    for name, cell in recorded_in(codes, told).items():
        app.env.phasebook_places[name] = place(app, chapter, cells[cell], codes[cell], name)
        there.setdefault(cell, []).append(name)
    for cell, names in there.items():
        cells[cell]["ids"] += [f"at-{name}" for name in names]
        if "ledger.emit(" not in codes[cell]:       # its table is just above
            cells[cell].parent.insert(cells[cell].parent.index(cells[cell]) + 1, recorded(app, names, told))


def joined(name: Element, pieces: list[list[Element]]) -> None:
    """In place of a name pieces that no line breaks while it holds them, semicolons between, with the bracket in front
    of them and the stroke behind."""
    parent, at = name.parent, name.parent.index(name)
    before = parent[at - 1] if at else None
    after = parent[at + 1] if at + 1 < len(parent) else None
    opened = re.search(r"[(\[]*$", before)[0] if isinstance(before, Text) else ""
    stroke = re.match(r"[),.;:\]]*", after)[0] if isinstance(after, Text) else ""
    if stroke:
        parent[at + 1] = Text(after[len(stroke):])
    pieces = [[*piece, Text(";")] for piece in pieces[:-1]] + [[*pieces[-1], *([Text(stroke)] if stroke else [])]]
    pieces[0][:0] = [Text(opened)] if opened else []
    kept = [node for piece in pieces for node in (Text(" "), inline("", "", *piece, classes=["pb-one"]))][1:]
    parent[at:at + 1] = kept
    if opened:
        parent[at - 1] = Text(before[:-len(opened)])


def whose(model: str) -> str:
    """A model as the chapters call it; a layer of few steps as its figures and tables do."""
    from phasebook.site.chapters.few_steps import WORDS

    return WORDS.get(model) or model.replace("_", "-")


def typed(block: Element) -> bool:
    """Whether a block is what a cell says, and not what it prints."""
    return "cell_input" in block.parent.get("classes", [])


def boxed(node: Element) -> bool:
    """Whether a node stands in an admonition."""
    while node is not None and not isinstance(node, Admonition):
        node = node.parent
    return node is not None


def measured(claim: dict) -> str:
    """Estimate and interval, as a sentence has them."""
    if claim["estimate"] is None:
        return ""
    low, high = claim.get("interval") or (None, None)
    if None in (low, high):
        return rounded(claim["estimate"], -math.inf, math.inf)[0]
    value, *ends = rounded(claim["estimate"], low, high)
    return f"{value} [{', '.join(ends)}]"


def place(app, chapter: str, cell: Element, code: str, name: str) -> Place:
    around = enclosing(cell.parent)
    heading = around.next_node(title)
    source = root() / "notebooks" / f"{chapter}.py"
    text = source.read_text(encoding="utf-8") if source.is_file() else ""
    return Place(app.env.docname, around["ids"][0] if around.get("ids") else "", heading.astext() if heading else "",
                 nearest(around, cell), line_of(text, code, name))


def enclosing(node: Element) -> Element:
    """The section that a node stands in, or is."""
    while node.parent is not None and not isinstance(node, section):
        node = node.parent
    return node


def nearest(around: Element, cell: Element) -> str:
    """The label of the figure of a section that stands last before a cell, else first behind it; '' for none. What is
    there to be played with shows no claim."""
    before = ""
    passed = False
    for node in around.findall(lambda n: n is cell or isinstance(n, figure) and not any(
            TOY in shown.astext() for shown in n.findall(raw))):
        if node is cell:
            passed = True
        elif node.get("ids") and not passed:
            before = node["ids"][0]
        elif node.get("ids") and not before:
            return node["ids"][0]
    return before


def recorded(app, names: list[str], told: dict) -> Element:
    """The claims of a cell with their verdicts, one behind the other."""
    line = paragraph("", "", classes=["pb-recorded"])
    ids = [i for i in app.env.phasebook_verdicts if of_model(i, told) in names]
    for i in ids:
        line += [inline("", "", claim_name(i, i), Text(" "), chip(app, i), classes=["pb-one"]), Text("  ")]
    return container("", line, classes=["pb-recorded-box"])


def chip(app, name: str) -> Element:
    """A claim's verdict: a word and a sign, leading to the claim's row."""
    word = app.env.phasebook_verdicts[name]["verdict"]
    here = app.env.docname
    where = app.builder.get_relative_uri(here, LEDGER) if LEDGER in app.env.found_docs and here != LEDGER else ""
    link = reference("", "", refuri=f"{where}#{name}", internal=True, reftitle=name, classes=["pb-chip"])
    link += inline(word, word, classes=["pb-verdict", f"pb-{word.replace(' ', '-')}"])
    return link


def complete(app, doctree, docname: str) -> None:
    """Tables of claims once all pages are read: what a row refers to by its number; in the ledger also what the filter
    needs, and links."""
    for table in doctree.findall(raw):
        if 'class="pb-claims"' in table.astext():
            text = LABEL.sub(lambda found: f"{found[1]}{numbered(app, docname, found[2])}</div>", table.astext())
            if docname == LEDGER:
                text = ROW.sub(lambda row: completed(app, row), text)
            table.children = []
            table.rawsource = text
            table += Text(text)


def numbered(app, docname: str, label: str) -> str:
    """A link to the theorem or the equation of a label, in its number.

    Raises:
        ValueError: no page has that label.
    """
    proofs, equations = getattr(app.env, "proof_list", {}), app.env.get_domain("math").equations
    if label in proofs:
        proof = proofs[label]
        page, kind = proof["docname"], proof["countertype"]
        number = ".".join(map(str, app.env.toc_fignumbers[page][kind][label]))
        words, anchor = f"{proof['realtype'].title()} {number}", label
    elif label in equations:
        page, number = equations[label]
        words, anchor = f"Eq. ({number})", f"equation-{label}"
    else:
        raise ValueError(f"a claim refers to {label!r}: no equation and no theorem has that label")
    return f'<a href="{app.builder.get_relative_uri(docname, page)}#{anchor}">{words}</a>'


def completed(app, row: re.Match) -> str:
    claim = app.env.phasebook_verdicts.get(row[1])
    if claim is None:
        return row[0]
    attributes = "".join(f' data-{key}="{claim[key]}"' for key in ("kind", "verdict", "chapter"))
    name = app.env.phasebook_owners[row[1]]
    where = app.env.phasebook_places.get(name)
    links = " ".join(links_of(app, claim, name, where)) if where else ""
    return f'<tr id="{row[1]}" role="row"{attributes}>{row[2]}<div class="pb-note pb-links">{links}</div></td>'


def links_of(app, claim: dict, name: str, where: Place) -> list[str]:
    page = app.builder.get_relative_uri(LEDGER, where.page)
    number = int(claim["chapter"][:2]) if claim["chapter"][:2].isdigit() else ""
    links = [f'<a href="{page}#{where.section}">{number} {where.heading}</a>']
    numbers = app.env.toc_fignumbers.get(where.page, {}).get("figure", {})
    if where.figure in numbers:
        figure_number = ".".join(map(str, numbers[where.figure]))
        links.append(f'<a href="{page}#{where.figure}">Fig. {figure_number}</a>')
    code = f"code, line {where.line}" if where.line else "code"
    links.append(f'<a href="{page}#at-{name}">{code}</a>')
    file = app.builder.get_relative_uri(LEDGER, "index").removesuffix("index.html") + f"{FILES}/{claim['chapter']}.txt"
    links.append(f'<a href="{file}#:~:text={name.replace("-", "%2D")}">bound set here</a>')
    return links


def copy_claims(app, error) -> None:
    """The files of claims, as text beside the pages."""
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / FILES
        for file in sorted((root() / "notebooks" / "claims").glob("*.yaml")):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / f"{file.stem}.txt")


def setup(app) -> dict:
    app.add_node(claim_name, html=(visit_claim_name, None))
    app.connect("builder-inited", begin)
    app.connect("source-read", fill)
    app.connect("doctree-read", mark)
    app.connect("doctree-read", link_equations)
    app.connect("doctree-resolved", complete)
    app.connect("build-finished", copy_claims)
    app.add_js_file("ledger.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
