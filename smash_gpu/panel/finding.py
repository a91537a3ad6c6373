"""The outcome of one check of a list of genes."""

from __future__ import annotations

from dataclasses import dataclass

PASS, WARN, FAIL, NOT_CHECKED = "pass", "warn", "fail", "not checked"


@dataclass(frozen=True)
class Finding:
    """A verdict, a sentence, and the genes it is about."""

    check: str
    verdict: str
    detail: str
    genes: tuple[str, ...] = ()
