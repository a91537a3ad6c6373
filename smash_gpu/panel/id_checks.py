"""Checks of the Ensembl ids of a list: those of the reference, and none missing."""

from __future__ import annotations

from collections.abc import Iterator

from smash_gpu.genes.lists import VERSION, GeneNames
from smash_gpu.genes.names import ENSEMBL
from smash_gpu.genes.tables import Gene
from smash_gpu.panel.finding import FAIL, NOT_CHECKED, PASS, WARN, Finding
from smash_gpu.panel.order import Order

CHECK = "Ensembl ids"


def check_ids(order: Order) -> Iterator[Finding]:
    """Whether the ids of the list are those of the reference, and which genes have none."""
    given = [(gene, here) for gene, here in order.found if gene.ensembl and gene.ensembl != gene]
    missing = list(_missing(order, some=bool(given)))
    yield from missing
    compared = [(gene, ids) for gene, here in given if (ids := _known_ids(order.known, here))]
    if not compared:
        if order.known.ids is not None or given or not missing:
            yield Finding(CHECK, NOT_CHECKED, _why_not(order, some=bool(given)))
        return
    wrong = [gene for gene, ids in compared if VERSION.sub("", gene.ensembl) not in ids]
    if wrong:
        detail = f"another id in the reference, e.g. {wrong[0]}: {wrong[0].ensembl} in the list"
        yield Finding(CHECK, FAIL, detail, tuple(wrong))
    else:
        yield Finding(CHECK, PASS, f"the ids of {len(compared):,} genes are those of the reference")


def _why_not(order: Order, *, some: bool) -> str:
    if some:
        return "the reference gives none"
    return "the list names genes by their ids alone" if any(map(_is_id, order.genes)) else "the list gives none"


def _missing(order: Order, *, some: bool) -> Iterator[Finding]:
    """Genes without an id: none at all, or none in a list that has ``some``; vendors find genes by their ids."""
    without = [gene for gene, here in order.found if here and not gene.ensembl and not _is_id(gene)]
    unknown = [gene for gene in without if not _known_ids(order.known, order.known.all_of(gene))]
    if unknown:
        yield _none(order, unknown, ", neither in the list nor in the reference; give ensembl_table=")
    if some and (left := [gene for gene in without if gene not in unknown]):
        yield _none(order, left, " in the list, and the reference has them")


def _none(order: Order, genes: list[Gene], where: str) -> Finding:
    if len(genes) == len(order.genes):
        return Finding(CHECK, WARN, f"no gene has one{where}")
    return Finding(CHECK, WARN, f"{len(genes):,} of {len(order.genes):,} genes have none{where}", tuple(genes))


def _is_id(gene: Gene) -> bool:
    return ENSEMBL.match(gene) is not None


def _known_ids(known: GeneNames, here: list[int]) -> set[str]:
    """The ids, without versions, that the reference has for the genes with these numbers."""
    return set() if known.ids is None else {VERSION.sub("", known.ids[number]) for number in here} - {""}
