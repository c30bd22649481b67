"""Where the tracked assets lie: `assets/` at the repository's root, beside `src/`."""

from pathlib import Path

__all__ = ["asset"]

ROOT = Path(__file__).parents[3] / "assets"


def asset(path: str) -> Path:
    """The file or directory `assets/<path>`.

    Raises FileNotFoundError, one line, where it is missing: the assets are tracked, not packaged, so the package
    must be installed from a clone with `pip install -e .` (as `make env` does).
    """
    file = ROOT / path
    if not file.exists():
        raise FileNotFoundError(
            f"assets/{path}: not found in {ROOT.parent}; install phasebook from a full clone (make env)"
        )
    return file
