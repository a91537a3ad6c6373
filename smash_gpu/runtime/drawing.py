"""Whether figures can be drawn."""

from __future__ import annotations

from importlib.util import find_spec


def need_matplotlib() -> None:
    """Refuse to draw without matplotlib, which a plain installation does not have.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    if find_spec("matplotlib") is None:
        raise ImportError(
            "figures need matplotlib: pip install matplotlib, or leave them out (figures=False; --no-figures)."
        )
