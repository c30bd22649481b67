"""Where the repository is."""

from pathlib import Path

from phasebook.site.chapters.parameters import ParameterError

__all__ = ["root"]


def root() -> Path:
    """The repository: the package is installed from it in editable form. ParameterError elsewhere."""
    here = Path(__file__).resolve().parents[3]
    if not (here / "_toc.yml").is_file():
        raise ParameterError(f"phasebook is not installed from its repository ({here} has no _toc.yml); "
                             "use `make env` or `pip install -e .`")
    return here
