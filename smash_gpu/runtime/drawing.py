"""Whether figures can be drawn."""

from __future__ import annotations

from importlib.util import find_spec


def need_matplotlib(without: str = "") -> None:
    """Refuse to draw without matplotlib, which a plain installation does not have; ``without`` leaves the figures out.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    if find_spec("matplotlib") is None:
        way_out = f", or leave them out: {without}" if without else ""
        raise ImportError(f"figures need matplotlib: pip install matplotlib{way_out}.")
