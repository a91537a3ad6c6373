"""Panels as the makers of instruments write them: Xenium's JSON, codebooks of MERFISH, and names of controls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

# Blank-12 (MERSCOPE); NegControlProbe_00042, NegControlCodeword_0500, UnassignedCodeword_0001, Intergenic_Region_12,
# antisense_PROKR2 (Xenium); NegPrb3, Negative01, SystemControl7 and FalseCode12 (CosMx).
CONTROLS = re.compile(
    r"(?:blank[-_ ]?\d+|(?:(?:neg|negative)[-_ ]?control|unassigned[-_ ]?codeword|deprecated[-_ ]?codeword"
    r"|genomic[-_ ]?control|intergenic[-_ ]?region|antisense[-_]|system[-_ ]?control).*"
    r"|(?:negative|negprb|negprobe)[-_]?\d+|false[-_ ]?code\d*)",
    re.IGNORECASE,
)
NO_GENES = ("control", "codeword")  # in the descriptor of a target in gene_panel.json
XENIUM = ["gene", "ensembl_id", "probe_sets"]
BASE, CUSTOM = "base", "custom"  # categories of targets there
PREAMBLE = ("version", "codebook_name", "bit_names", "sep=")  # before the header of MERlin's codebooks, and Excel's


def is_control(name: str) -> bool:
    """Whether the name is that of a control, not of a gene."""
    return CONTROLS.fullmatch(name) is not None


def json_rows(found: Any) -> tuple[list[str] | None, list[list[str]]] | None:
    """Columns and rows of JSON: the targets of a Xenium ``gene_panel.json``, or a list of names; None for any other.

    The form is that of Xenium Onboard Analysis: ``payload.targets``, each with ``type.descriptor``, ``type.data.name``
    and ``.id``, and ``info.gene_coverage``, the number of probe sets.
    """
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        return None, [[name] for name in found]
    targets = _part(_part(found, "payload"), "targets")
    are_targets = isinstance(targets, list) and all(isinstance(target, dict) for target in targets)
    return (XENIUM, list(_of_genes(targets))) if are_targets else None


def begins_with_base(found: Any) -> bool:
    """Whether the first target of a ``gene_panel.json`` is of a printed panel, its category "base"."""
    targets = _part(_part(found, "payload"), "targets")
    first = targets[0] if isinstance(targets, list) and targets else {}
    return _part(_part(first, "source"), "category") == BASE


def _part(whole: Any, name: str) -> Any:
    """A part of an object in JSON; an empty object if it has none."""
    found = whole.get(name) if isinstance(whole, dict) else None
    return {} if found is None else found


def after_preamble(rows: list[list[str]]) -> list[list[str]]:
    """The rows without those that stand before the header."""
    while rows and rows[0][0].lower() in PREAMBLE:
        rows = rows[1:]
    return rows


def _of_genes(targets: list[dict[str, Any]]) -> Iterator[list[str]]:
    for target in targets:
        kind = _part(target, "type")
        if not any(word in str(_part(kind, "descriptor")) for word in NO_GENES):
            data, sets = _part(kind, "data"), _part(_part(target, "info"), "gene_coverage")
            yield [str(_part(data, word) or "") for word in ("name", "id")] + ["" if sets == {} else str(sets)]
