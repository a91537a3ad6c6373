"""Files that a user names."""

from __future__ import annotations

from pathlib import Path

from smash_gpu.runtime.words import did_you_mean


def require_path(path: Path) -> None:
    """Raise an error with near matches for a file or folder that does not exist."""
    if not path.exists():
        neighbours = [p.name for p in path.absolute().parent.glob("*")]
        raise FileNotFoundError(f"there is no file {path}." + did_you_mean(path.name, neighbours))
