"""Several gene lists, or functions that choose them, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from anndata import AnnData

from smash_gpu.data.dataset import Dataset
from smash_gpu.errors import warn
from smash_gpu.evaluation.cross_validation import LIST, SELECTION
from smash_gpu.evaluation.judging import WILCOXON
from smash_gpu.genes.lists import Genes
from smash_gpu.selection import rank_sum
from smash_gpu.selection.options import PANEL_GENES
from smash_gpu.tl._choosers import Choose, OwnFunction, given, own, repeated_selection

Wanted: TypeAlias = "Genes | OwnFunction | str | None"


def sizes_of(n_genes: int | Iterable[int] | None) -> tuple[int, ...]:
    """Lengths of prefixes in ascending order; none for None.

    Raises
    ------
    ValueError
        For a length below one.
    """
    if n_genes is None:
        return ()
    sizes = tuple(sorted(set(map(int, n_genes)))) if isinstance(n_genes, Iterable) else (int(n_genes),)
    if not sizes or sizes[0] < 1:
        raise ValueError(f"n_genes={n_genes!r}: a panel has at least one gene.")
    return sizes


def at_least_none(n_random: int) -> int:
    """The number of random panels, or a ValueError."""
    if n_random < 0:
        raise ValueError(f"n_random={n_random}: the number of random panels cannot be negative.")
    return n_random


def choosers_of(
    adata: AnnData,
    data: Dataset,
    wanted: Wanted | Mapping[str, Wanted],
    sizes: tuple[int, ...],
    *,
    missing: str,
    key: str,
) -> dict[str, Choose]:
    """A function for each list by its name; errors and warnings about their sizes."""
    lists = named(wanted)
    if not lists:
        raise ValueError("genes: there is no list to evaluate.")
    longest = max(sizes, default=PANEL_GENES)
    choosers, lengths = {}, {}
    for name, one in lists.items():
        what = f"genes[{name!r}]" if isinstance(wanted, Mapping) else "genes"
        choosers[name] = choose = (
            repeated_selection(adata, longest, key, "genes=") if one is None
            else rank_sum.choose(longest) if is_wilcoxon(one)
            else own(adata, one, longest, what) if callable(one)
            else given(data, one, what, missing=missing)
        )  # fmt: skip
        lengths[name] = longest if is_chosen_inside(one) else len(choose(data))
    _compare(lengths, sizes)
    return choosers


def named(wanted: Wanted | Mapping[str, Wanted]) -> dict[str, Wanted]:
    """The lists by name; one without a name is called after what it is."""
    if isinstance(wanted, Mapping):
        return {str(name): one for name, one in wanted.items()}
    return {SELECTION if wanted is None else WILCOXON if is_wilcoxon(wanted) else LIST: wanted}


def is_wilcoxon(wanted: Wanted) -> bool:
    """Whether the genes are those of the Wilcoxon test."""
    return isinstance(wanted, str) and wanted == WILCOXON


def is_chosen_inside(wanted: Wanted) -> bool:
    """Whether the genes are chosen on the training cells of every split."""
    return wanted is None or callable(wanted) or is_wilcoxon(wanted)


def _compare(lengths: Mapping[str, int], sizes: tuple[int, ...]) -> None:
    if not sizes and len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        warn(
            f"the lists differ in length ({listed}), and more genes separate classes better; pass "
            f"n_genes={min(lengths.values())} to compare them at equal length."
        )
    short = [f"{name} has {length}" for name, length in lengths.items() if length < max(sizes, default=0)]
    if short:
        warn(f"a list that is shorter than n_genes is judged whole there: {', '.join(short)} of {sizes[-1]} genes.")
