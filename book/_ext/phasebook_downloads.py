"""What a page offers beside itself: its notebook, fit to be taken away, and a button that opens its source elsewhere.

A link to a notebook opens as text in a browser that reads the book from a disk, so that the page offers a zip. The
launch button appears once `repository: url` in `_config.yml` has an address; sources are opened as they lie in the
repository, for the executed notebooks are not tracked.
"""

import re
import zipfile
from pathlib import Path

import nbformat

from phasebook.site.build.downloads import portable

NOTEBOOK = re.compile(r"_sources/(book/chapters/\w+)\.ipynb")
LAUNCHED = re.compile(r"urlpath=lab/tree/book/chapters/(\w+)\.ipynb")
EPOCH = (1980, 1, 1, 0, 0, 0)       # the same bytes on every day


def address(app) -> str:
    return app.config.html_theme_options.get("repository_url", "") or ""


def configure(app, config) -> None:
    """No launch button while there is nowhere to launch from."""
    if not config.html_theme_options.get("repository_url"):
        config.html_theme_options["launch_buttons"] = {}


def turn_buttons(app, pagename, templatename, context, doctree) -> None:
    """Launch links to the tracked sources, download links to the zip, in place."""
    for button in every(context.get("header_buttons", [])):
        url = button.get("url")
        if isinstance(url, str):
            url = NOTEBOOK.sub(r"_sources/\1.zip", url)
            button["url"] = LAUNCHED.sub(r"urlpath=lab/tree/notebooks/\1.py", url)
            if url.endswith(".zip"):
                button["text"], button["tooltip"] = ".ipynb (zip)", "Download the notebook, zipped"


def every(buttons):
    """Buttons and those in groups."""
    for button in buttons:
        yield button
        yield from every(button.get("buttons", []))


def write_notebooks(app, error) -> None:
    """Beside each page its portable notebook, as it is and in a zip."""
    if error is not None or app.builder.format != "html":
        return
    for file in sorted((Path(app.outdir) / "_sources").rglob("*.ipynb")):
        text = nbformat.writes(portable(nbformat.read(file, as_version=4), address(app))) + "\n"
        file.write_text(text, encoding="utf-8")
        with zipfile.ZipFile(file.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr(zipfile.ZipInfo(file.name, EPOCH), text, zipfile.ZIP_DEFLATED)


def setup(app) -> dict:
    app.connect("config-inited", configure)
    app.connect("html-page-context", turn_buttons, priority=900)
    app.connect("build-finished", write_notebooks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
