"""Checks of a list of genes before it is ordered: against a reference, a platform's limits, and a vendor's lists."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

import numpy as np
import pandas as pd

from smash_gpu.genes import names as gene_names
from smash_gpu.genes.lists import IGNORE, GeneNames
from smash_gpu.genes.tables import Gene
from smash_gpu.panel.finding import FAIL, NOT_CHECKED, PASS, WARN, Finding
from smash_gpu.panel.fitting import OPEN
from smash_gpu.panel.id_checks import check_ids
from smash_gpu.panel.order import Order
from smash_gpu.panel.platforms import Q99, QUANTITIES
from smash_gpu.panel.remarks import BRIGHT
from smash_gpu.panel.request import ANY
from smash_gpu.runtime.words import join_names

COLUMNS = ["check", "verdict", "detail", "genes"]


def check(order: Order) -> list[Finding]:
    """All findings, in the order of `CHECKS`."""
    return [finding for one in CHECKS for finding in one(order)]


def check_table(findings: Iterable[Finding]) -> pd.DataFrame:
    """One row per finding."""
    rows = [(one.check, one.verdict, one.detail, ", ".join(one.genes)) for one in findings]
    return pd.DataFrame(rows, columns=COLUMNS)


def _names(order: Order) -> Iterator[Finding]:
    absent = [gene for gene, here in order.found if not here]
    unnamed = order.entries.count(None)
    if unnamed:
        yield Finding("names", WARN, f"{unnamed:,} of {len(order.entries):,} entries name no gene")
    several = [gene for gene, here in order.found if len(here) > 1]
    if absent:
        said = str(order.known.not_found(absent, "list")).removeprefix("list: ")
        yield Finding("names", order.absent_is, said, tuple(absent))
    if several:
        detail = "a symbol stands for several genes of the reference; name the id that is meant"
        yield Finding("names", WARN, detail, tuple(several))
    if not absent and not several:
        yield Finding("names", PASS, f"all {len(order.genes):,} genes are in the reference")


def _duplicates(order: Order) -> Iterator[Finding]:
    seen: dict[object, list[Gene]] = {}
    for gene in filter(None, order.entries):
        here = order.known.all_of(gene)
        seen.setdefault(here[0] if here else gene.key, []).append(gene)
    twice = [genes for genes in seen.values() if len(genes) > 1]
    if twice:
        listed = "; ".join(" = ".join(genes) for genes in twice[:10])
        yield Finding("duplicates", FAIL, f"listed more than once: {listed}", tuple(g[0] for g in twice))
    else:
        yield Finding("duplicates", PASS, "no gene is listed twice, by name, symbol or id")
    if order.again:
        yield Finding("duplicates", FAIL, "on the printed panel already", tuple(order.again))


def _families(order: Order) -> Iterator[Finding]:
    symbols, asked = order.known.symbols, order.request.species
    if not order.request.exclude_families:
        yield Finding("gene families", NOT_CHECKED, "exclude_families= names none")
        return
    species = gene_names.detect_species(symbols) if asked == "auto" else asked
    if species is None or gene_names.are_ensembl_ids(symbols):
        why = "the gene names are not symbols of human or mouse; give species= or gene_symbols="
        yield Finding("gene families", NOT_CHECKED, why)
        return
    absent = np.array([str(gene) for gene, here in order.found if not here], dtype=object)
    names, own = np.append(order.names, absent), np.append(symbols[order.numbers], absent)
    clean = True
    for name in order.request.exclude_families:
        here = names[gene_names.family(name, own, species)]
        if len(here):
            clean = False
            what = f"{gene_names.in_words(name)} genes separate cells less surely in other tissues and donors"
            yield Finding("gene families", WARN, what, tuple(here))
    if clean:
        listed = join_names(map(gene_names.in_words, order.request.exclude_families))
        yield Finding("gene families", PASS, f"none of {listed}")


def _availability(order: Order) -> Iterator[Finding]:
    if order.unavailable is None:
        why = "give unavailable= with the vendor's list of genes without probes"
        yield Finding("availability", NOT_CHECKED, why)
        return
    banned = GeneNames(*_as_names(order.unavailable))
    here_gone = order.known.mask(order.unavailable, "unavailable", missing=IGNORE)  # also by id, where a list has names
    gone = [gene for gene, here in order.found if banned.all_of(gene) or here_gone[here].any()]
    detail = "in the list of genes without probes" if gone else "every gene can be ordered"
    yield Finding("availability", FAIL if gone else PASS, detail, tuple(gone))


def _as_names(genes: Collection[Gene]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    names = np.array([str(gene) for gene in genes], dtype=object)
    return names, names, np.array([gene.ensembl or str(gene) for gene in genes], dtype=object)


def _size(order: Order) -> Iterator[Finding]:
    numbers = {} if order.platform is None else order.platform.numbers
    added = len(order.genes) - len(order.again)
    sizes = {"n_genes": added + order.n_printed} | ({"n_added": added} if order.n_printed else {})
    for key, n in sizes.items():
        if key in numbers:
            number = numbers[key]
            fits = number.low <= n <= number.high
            takes = f"the platform takes {number.low:g} to {number.high:,.0f}"
            yield Finding("number of genes", PASS if fits else FAIL, f"{n:,} {QUANTITIES[key]}; {takes}")
        elif key == "n_genes":
            yield Finding("number of genes", NOT_CHECKED, f"{n:,} {QUANTITIES[key]}; {OPEN[key].partition(';')[0]}")


def _columns(order: Order) -> Iterator[Finding]:
    """Limits on columns of the annotation, transcript length among them."""
    for column, ends in order.request.limits.items():
        yield from _window(order, column, order.known.column(column, "limits")[order.numbers], ends)
    for what, why in order.not_applied.items():
        yield Finding(what, NOT_CHECKED, why)


def _levels(order: Order) -> Iterator[Finding]:
    """Expression levels against the limits, too bright genes, and genes that no class expresses."""
    check_of = "expression"
    if not order.has_counts:
        yield Finding(check_of, NOT_CHECKED, f"counts per cell are needed, but {order.expressed.why_no_counts}")
        return
    windows = {
        "mean counts per cell": (order.expressed.mean, order.request.mean_counts),
        "mean counts per cell in the class with the most": (order.expressed.largest, order.request.max_counts),
    }
    limited = {what: (values(), ends) for what, (values, ends) in windows.items() if ends != ANY}
    for what, (values, ends) in limited.items():
        yield from _window(order, what, values[order.numbers], ends)
    most = order.expressed.largest()[order.numbers]
    silent = order.names[most == 0]
    if len(silent):
        yield Finding(check_of, WARN, "no cell of a class of the reference has counts of them", tuple(silent))
    if not limited and Q99 not in order.request.limits:
        bright = order.names[most > BRIGHT]
        what = f"more than {BRIGHT:g} counts per cell in some class"
        verdict, detail = (WARN, what) if len(bright) else (PASS, f"no gene has {what}")
        yield Finding(check_of, verdict, f"{detail}; {OPEN[Q99]}", tuple(bright))


def _background(order: Order) -> Iterator[Finding]:
    number = None if order.platform is None else order.platform.numbers.get("background")
    if number is not None and order.has_counts:
        most = order.expressed.largest()[order.numbers]
        dim = order.names[most < number.high]
        detail = f"below {number.high:g} counts per cell in every class; so many are background"
        yield Finding(
            "background", WARN if len(dim) else PASS, detail if len(dim) else "no gene is " + detail, tuple(dim)
        )


def _window(order: Order, what: str, values: np.ndarray, ends: tuple[float, float]) -> Iterator[Finding]:
    low, high = ends
    missing, outside = np.isnan(values), (values < low) | (values > high)
    said = f"{what} from {low:g}" if not np.isfinite(high) else f"{what} at most {high:g}"
    said = said if low <= 0 or not np.isfinite(high) else f"{what} from {low:g} to {high:g}"
    if outside.any():
        yield Finding(what, FAIL, f"{outside.sum():,} of {len(values):,} outside: {said}", tuple(order.names[outside]))
    if missing.any():
        yield Finding(what, WARN, f"not known for {missing.sum():,} of {len(values):,}", tuple(order.names[missing]))
    if not outside.any() and not missing.any():
        yield Finding(what, PASS, said)


def _crowding(order: Order) -> Iterator[Finding]:
    what = "crowding"
    if not order.has_counts:
        yield Finding(what, NOT_CHECKED, f"counts per cell are needed, but {order.expressed.why_no_counts}")
        return
    table = order.crowding
    fullest = table.loc[table["transcripts"].idxmax()]
    said = f"{_rounded_up(fullest['transcripts'])} transcripts per cell in the fullest class, {fullest['class']}"
    whole = 0 if order.probe_sets is None else sum(np.isnan(gene.probe_sets) for gene in order.genes)
    assumed = f"; {whole:,} genes without a number of probe sets count as with the most" * bool(whole)
    absent = order.n_absent + sum(not here for here in order.places)
    which = "gene that the reference lacks is" if absent == 1 else "genes that the reference lacks are"
    assumed += f"; {absent:,} {which} not counted" * bool(absent)
    if table["limit"].isna().all():
        yield Finding(what, NOT_CHECKED, f"{OPEN['max_transcripts']} ({said}{assumed})")
        return
    over = table[table["transcripts"] > table["limit"]]
    if len(over):
        listed = join_names(
            f"{row[1]} ({row.transcripts:,.4g} of {row.limit:g})" for row in over.itertuples(index=False)
        )
        unused = order.probe_sets is None and not all(np.isnan(gene.probe_sets) for gene in order.genes)
        fewer = "; give platform= or probe_sets=, so that genes with fewer probe sets count less" * unused
        yield Finding(what, FAIL, f"more transcripts per cell than max_transcripts= allows: {listed}{fewer}{assumed}")
    else:
        yield Finding(what, WARN if absent else PASS, said + assumed)


def _rounded_up(number: float) -> str:
    """To four digits, so that a limit of this size is kept."""
    digits = max(0, 3 - int(np.floor(np.log10(number)))) if number > 0 else 0
    shown = f"{np.ceil(number * 10**digits * (1 - 1e-9)) / 10**digits:,.{digits}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _probe_sets(order: Order) -> Iterator[Finding]:
    given = [(gene, here) for gene, here in order.found if not np.isnan(gene.probe_sets)]
    if order.probe_sets is None or not given:
        return
    low, high = order.probe_sets
    ends = ((low[here[0]], high[here[0]]) if here else (low.min(), high.max()) for _, here in given)
    outside = [
        str(gene) for (gene, _), (least, most) in zip(given, ends, strict=True) if not least <= gene.probe_sets <= most
    ]
    said = f"{low.min()} to {high.max()} probe sets per gene"
    detail = f"{len(outside):,} outside {said}" if outside else said
    yield Finding("probe sets", FAIL if outside else PASS, detail, tuple(outside))


CHECKS: tuple[Callable[[Order], Iterator[Finding]], ...] = (
    _names, check_ids, _duplicates, _families, _availability, _size, _columns, _levels, _background, _crowding,
    _probe_sets,
)  # fmt: skip


def gene_table(order: Order, findings: Iterable[Finding]) -> pd.DataFrame:
    """One row per gene of the list: where it is in the reference, its counts, and the checks that it does not pass."""
    known, place = order.known, np.array([here[0] if here else -1 for here in order.places], dtype=int)
    names, symbols = (np.where(place >= 0, values[place], "") for values in (known.names, known.symbols))
    ids = np.full(len(place), "") if known.ids is None else np.where(place >= 0, known.ids[place], "")
    table = pd.DataFrame({"gene": [str(gene) for gene in order.genes], "name": names, "symbol": symbols})
    table["ensembl_id"] = [gene.ensembl or here for gene, here in zip(order.genes, ids, strict=True)]
    if order.has_counts:
        counts, labels = order.expressed.counts_per_cell(), order.expressed.classes.labels
        table["mean_counts"] = np.where(place >= 0, order.expressed.mean()[place], np.nan)
        table["max_counts"] = np.where(place >= 0, counts.max(axis=0)[place], np.nan)
        table["max_class"] = np.where(place >= 0, labels[counts.argmax(axis=0)[place]], "")
    for column in order.request.limits:
        table[column] = np.where(place >= 0, known.column(column, "limits")[place], np.nan)
    table["faults"] = ["; ".join(_faults(findings, gene, name)) for gene, name in zip(order.genes, names, strict=True)]
    return table


def _faults(findings: Iterable[Finding], *names: str) -> list[str]:
    wrong = (one for one in findings if one.verdict in (FAIL, WARN) and not set(names).isdisjoint(one.genes))
    return list(dict.fromkeys(f"{one.check}: {one.verdict}" for one in wrong))
