"""Notebooks as a reader takes them away: with a cell that installs what they need, and without Sphinx's markup.

The page offers the executed notebook for download. Outside this repository its imports fail and its directives show as
they are written; `portable` mends both. Its cells of code stay as they are.
"""

import re

import nbformat

__all__ = ["install_cell", "plain", "portable"]

INSTALL = '''# Outside the book's own environment this fetches and installs it, once: some minutes and several GB.
import importlib.util
import subprocess
import sys

repository = {address!r}
if importlib.util.find_spec("phasebook") is None:
    if not repository:
        raise SystemExit("phasebook is not installed here: open this notebook by `make lab` in its repository")
    subprocess.run(["git", "clone", "--depth", "1", repository, "phasebook-repository"], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "-e", "phasebook-repository"], check=True)
    sys.path.insert(0, "phasebook-repository/src")
'''
ROLE = re.compile(r"\{(cite:p|cite:t|doc|numref|eq|prf:ref|ref)\}`([^`]*)`")
FENCE = re.compile(r"^(:{3,}|`{3,})\{([\w:-]+)\}\s*(.*?)\n(.*?)^\1[ \t]*$", re.M | re.S)
KEY = re.compile(r"([a-z]+)(\d{4})")


def install_cell(address: str) -> nbformat.NotebookNode:
    """The first cell of a notebook that is taken away.

    Args:
        address: of the repository; '' while it has none, and then the cell says what to do.
    """
    return nbformat.v4.new_code_cell(INSTALL.format(address=address), id="install", metadata={"tags": ["install"]})


def plain(text: str) -> str:
    """Markdown without roles and directives: boxes become quotations, references words or links."""
    text = FENCE.sub(_box, text)
    return re.sub(r"^(\$\$.*\$\$) \(([\w-]+)\)$", r"\1", ROLE.sub(_words, text), flags=re.M)


def _box(match: re.Match) -> str:
    """A directive's title in bold and its text as a quotation."""
    kind, title, body = match[2], match[3], match[4]
    body = "\n".join(line for line in body.splitlines() if not re.match(r":[\w-]+:", line)).strip()
    if kind == "bibliography":
        return ""
    name = title if kind == "admonition" else " ".join([kind.removeprefix("prf:").capitalize(), title]).strip()
    return "\n".join(f"> {line}".rstrip() for line in [f"**{name}**", "", *plain(body).splitlines()])


def _words(match: re.Match) -> str:
    """A role as words: who and when, a link to another notebook, or the label."""
    role, target = match[1], match[2]
    named = re.fullmatch(r"(.*?)\s*<(.*)>", target, re.S)
    if role.startswith("cite"):
        cited = "; ".join(_cited(key.strip()) for key in target.split(","))
        return f"({cited})" if role == "cite:p" else cited
    if role == "doc":
        place = (named[2] if named else target).rsplit("/", 1)[-1]
        words = named[1] if named else place.replace("_", " ")
        return f"[{words}]({place}.ipynb)" if re.match(r"\d\d_", place) else words
    return named[1] if named else f"({target})" if role == "eq" else f"*{target}*"


def _cited(key: str) -> str:
    """'Kim 2012' for `kim2012generalization`."""
    match = KEY.match(key)
    return f"{match[1].capitalize()} {match[2]}" if match else key


def portable(book: nbformat.NotebookNode, address: str) -> nbformat.NotebookNode:
    """A copy of an executed notebook that runs, and reads well, wherever it is opened.

    Args:
        book: as the runner left it.
        address: of the repository, or ''.
    """
    made = nbformat.from_dict({**book, "cells": [install_cell(address)]})
    for cell in book.cells:
        source = plain(cell.source) if cell.cell_type == "markdown" else cell.source
        made.cells.append(nbformat.from_dict({**cell, "source": source}))
    made.metadata.pop("phasebook", None)        # the signature is that of the original
    return made
