"""Search without a request: the texts of all pages in one script that the search page alone loads.

Sphinx shows the words around a hit by fetching the page, which a browser refuses for pages read from a disk. Here the
script answers in the place of the network, from the texts, and only for pages of the book.
"""

import json
import re
from pathlib import Path

from docutils.nodes import caption, paragraph, title
from sphinx.addnodes import desc_signature

SPOKEN = (paragraph, title, caption, desc_signature)
SCRIPT = "searchtexts.js"
ANSWER = """(() => {
  const texts = %s;
  const other = window.fetch;
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  window.fetch = (address, ...rest) => {
    const path = String(address).split("#")[0].replace(/\\.html$/, "");
    const name = Object.keys(texts).find((one) => path === one || path.endsWith("/" + one));
    if (!name) return other(address, ...rest);
    return Promise.resolve(new Response('<div role="main">' + escaped(texts[name]) + "</div>"));
  };
})();
"""


def add_script(app, pagename, templatename, context, doctree) -> None:
    if pagename == "search":
        app.add_js_file(SCRIPT)


def write_texts(app, error) -> None:
    if error is None and app.builder.format == "html":
        texts = {name: words(app.env.get_doctree(name)) for name in sorted(app.env.found_docs)}
        data = json.dumps(texts, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
        Path(app.outdir, "_static", SCRIPT).write_text(ANSWER % data, encoding="utf-8")


def words(doctree) -> str:
    """What a page says: prose, headings, captions and names; not what its cells computed."""
    text = " ".join(node.astext() for node in doctree.findall(lambda n: isinstance(n, SPOKEN)))
    return re.sub(r"\s+", " ", text).strip()


def setup(app) -> dict:
    app.connect("html-page-context", add_script)
    app.connect("build-finished", write_texts)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
