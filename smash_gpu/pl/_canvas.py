"""Canvases that fit what is drawn on them, names as text, colours that colour-blind readers can distinguish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from smash_gpu.runtime.drawing import need_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}  # a name may hold $, _ or \\
GENE: dict[str, Any] = {"fontstyle": "italic", "fontsize": 8, **PLAIN}
GROUP: dict[str, Any] = {"fontsize": 8, **PLAIN}
LONGEST_NAME = 34
NO_CLASSES = "this panel was designed without classes (groupby=None), so there is nothing to show for each of them."
INCHES_PER_LETTER = 0.067
MARK_INCHES = 0.4  # of a legend, with the space around it
INCHES_PER_GENE = 0.19
INCHES_PER_GROUP = 0.24
BAR_INCHES = 1.4
FEWEST_ROWS = 4  # as high as the label of a colour bar
NARROWEST = 3.0  # inches, as wide as a legend of sizes
# Okabe & Ito, "Color Universal Design" (2008)
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#222222")
GREY = "#D9D9D9"
HATCHES = ("", "/////", ".....", "xxxxx", "\\\\\\\\\\", "ooooo", "-----", "+++++")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def canvas(width: float, height: float) -> Axes:
    """New axes on a new figure of this size in inches."""
    need_matplotlib()
    from matplotlib import pyplot as plt

    return plt.figure(figsize=(width, height), layout="constrained").add_subplot()


def squares(ax: Axes | None, values: Any, cmap: str, width: float, height: float) -> tuple[Axes, Any]:
    """An image of a square matrix with values from 0 to 1, on the given axes or a canvas of a size that fits squares.

    On the canvas they need no fixed aspect, with which the layout would clip long names.
    """
    aspect: Literal["auto", "equal"] = "auto" if ax is None else "equal"
    ax = ax or canvas(width, height)
    return ax, ax.imshow(values, aspect=aspect, cmap=cmap, vmin=0, vmax=1)


def room(names: Iterable[str]) -> float:
    """Width of the longest name in inches."""
    return INCHES_PER_LETTER * max(map(len, names), default=0)


def legend_room(names: Sequence[str], columns: int) -> float:
    """Width in inches of a legend at the right of the axes, which fills its columns one after the other."""
    each, more = divmod(len(names), columns)
    ends = np.cumsum([0] + [each + (column < more) for column in range(columns)])
    return sum(MARK_INCHES + 0.9 * room(names[a:b]) for a, b in zip(ends, ends[1:], strict=False))


def shown(names: Iterable[Any]) -> list[str]:
    """Names as they are drawn: on one line, long ones shortened in the middle, and numbered if they become equal."""
    names = [str(name) for name in names]
    drawn: dict[str, str] = {}
    times: Counter[str] = Counter()
    for name in dict.fromkeys(names):
        cut = _cut("".join(c if c.isprintable() else " " for c in name).strip())
        times[cut] += 1
        drawn[name] = cut if times[cut] == 1 else f"{cut} ({times[cut]})"
    return [drawn[name] for name in names]


def _cut(name: str) -> str:
    if len(name) <= LONGEST_NAME:
        return name
    tail = LONGEST_NAME // 3
    return f"{name[: LONGEST_NAME - tail - 1].rstrip()}…{name[-tail:].lstrip()}"


def paired(names: Iterable[Any], others: Iterable[Any]) -> list[str]:
    """Pairs of names as they are drawn."""
    names, others = [*map(str, names)], [*map(str, others)]
    every = [*dict.fromkeys([*names, *others])]
    drawn = dict(zip(every, shown(every), strict=True))
    return [f"{drawn[name]}  ↔  {drawn[other]}" for name, other in zip(names, others, strict=True)]


def fills(n: int) -> list[dict[str, Any]]:
    """Face and hatch of ``n`` kinds of bars: eight colours, then the same colours with hatches."""
    kinds = [(colour, hatch) for hatch in HATCHES for colour in COLOURS]
    chosen = [kinds[i % len(kinds)] for i in range(n)]
    return [{"facecolor": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.3} for colour, hatch in chosen]


def legend(ax: Axes, handles: Sequence, names: Iterable[str], **options: Any) -> None:
    """A legend with all names as they are; matplotlib leaves out names that begin with ``_``."""
    made = ax.legend(handles, [str(i) for i in range(len(handles))], frameon=False, **options)
    for text, name in zip(made.get_texts(), names, strict=True):
        text.set(text=name, **PLAIN)


def legend_above(ax: Axes, handles: Sequence, names: Sequence[str], **options: Any) -> None:
    """A legend in one line above the axes, unless ``options`` say how many columns it has."""
    close = {"borderaxespad": 0.2, "columnspacing": 1.0, "handletextpad": 0.4, "fontsize": 7, "ncols": len(names)}
    legend(ax, handles, names, loc="lower left", bbox_to_anchor=(0.0, 1.0), alignment="left", **(close | options))


def colour_bar(ax: Axes, image: Any, label: str, **options: Any) -> None:
    """A colour bar with the same length in figures of any size; ``options`` are those of matplotlib's ``colorbar``."""
    inches = ax.get_position().height * ax.figure.bbox.height / ax.figure.dpi
    share = min(1.0, BAR_INCHES / inches)
    bar = ax.figure.colorbar(image, ax=ax, shrink=share, aspect=12, pad=0.02, anchor=(0.0, 1.0), **options)
    bar.set_label(label, fontsize=7)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_linewidth(0.4)


def quiet(ax: Axes) -> None:
    """Remove the frame from the sides without a scale."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8, length=3, width=0.6)
    ax.tick_params(which="minor", labelsize=8)
