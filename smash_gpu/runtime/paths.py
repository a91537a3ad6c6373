"""Files that a user names."""

from __future__ import annotations

from pathlib import Path

from smash_gpu.runtime.words import did_you_mean


def require_path(path: Path) -> None:
    """Raise an error with near matches for a file or folder that does not exist."""
    if not path.exists():
        neighbours = [p.name for p in path.absolute().parent.glob("*")]
        raise FileNotFoundError(f"there is no file {path}." + did_you_mean(path.name, neighbours))


def require_file(path: Path) -> None:
    """Raise an error for a file that does not exist, as ``require_path`` does, or for a folder."""
    require_path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file.")
