"""What the values of a matrix seem to be, against what they should be: errors, warnings and ways out, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from smash_gpu.data.checks import FEWEST_CELLS, LOG_CEILING, Parts, ValueChecks
from smash_gpu.errors import warn
from smash_gpu.runtime.words import join_names

FEWEST_LARGE = (
    10  # values above `LOG_CEILING` that a part should have by the share in the others: none is then no chance
)
SMALLEST_SHARE = 0.01  # of the cells of a part; fewer that differ are an exception
LOGGED = "Counts and logarithms cannot be mixed: use the counts of all, or log-normalise all and pass normalize=False."
THREE_WAYS = (
    "Pass normalize=False if so, normalize=True if these are corrected counts, or layer= for the layer that holds the "
    "counts."
)


class LooksLoggedError(ValueError):
    """Raw counts are expected, and the values look like logarithms.

    Attributes
    ----------
    found, way_out
        What was found, and what to do.
    counts
        Where else in the data there are counts, and how to read them; "" if nowhere.
    """

    def __init__(self, found: str, way_out: str, counts: str) -> None:
        super().__init__(f"raw counts are expected, but {found}. {way_out}")
        self.found, self.way_out, self.counts = found, way_out, counts

    def __reduce__(self) -> tuple:
        """From and to other processes with what it says."""
        return type(self), (self.found, self.way_out, self.counts)


@dataclass(frozen=True)
class Verdict:
    """Judges the values of a matrix.

    Attributes
    ----------
    checks
        Sums for each of ``parts``, or for all cells as one.
    elsewhere
        Says where else in the data there are counts, or logarithms (``logarithms=True``); "" if nowhere.
    """

    checks: ValueChecks
    parts: Parts
    elsewhere: Callable[..., str]

    @property
    def scaled(self) -> str:
        """Says of which cells the values were scaled to the same sum; "" if of none."""
        sums = self.checks.same_sum("scaled")
        found = ~np.isnan(sums)
        if not found.any():
            return ""
        return f"every cell of {self._named(found)} sums to {_rounded(sums[found])}: scaled values, such as TPM"

    def require(self, *, normalize: bool | None) -> None:
        """Raise if the values cannot be what they should be, or warn if they hardly can.

        Parameters
        ----------
        normalize
            As in `smash_gpu.pp.filter_genes`. What is given explicitly is not refused because of a likeness.

        Raises
        ------
        ValueError
            The message says what to do.
        """
        self._require_usable()
        if normalize is False:
            self._require_logarithms()
            return
        if self.scaled:
            warn(
                f"{self.scaled}, not raw counts. The choice of genes is right; counts per cell are not known. Pass "
                "layer= if a layer holds the counts."
            )
        logged = ~np.isnan(self.checks.same_sum("logged"))
        if logged.any():
            found, way_out = self._logarithms(logged)
            if not normalize:
                raise LooksLoggedError(found, way_out, self.elsewhere())
            warn(f"normalize=True is given, but {found}. {way_out}")
        elif normalize is None and (doubtful := self._doubtful()).any():
            who, _, has, it = self._subject(doubtful)
            found = f"{who} {has} fractions and no value above {LOG_CEILING:g}, so {it} to be log-normalised"
            raise LooksLoggedError(found, self._counts() or THREE_WAYS, self.elsewhere())

    def _require_usable(self) -> None:
        checks = self.checks
        if wrong := checks.total("not_finite"):
            raise ValueError(f"{self._holder('not_finite')} {wrong:,} NaN or infinite values; replace them first.")
        if wrong := checks.total("negative"):
            way_out = self.elsewhere(logarithms=True) or (
                "Raw counts are needed: pass layer= if a layer holds them, or log-normalised values with "
                "normalize=False (often use_raw=True)."
            )
            found = f"{self._holder('negative')} {wrong:,} negative values"
            raise ValueError(f"{found}, so it seems to be scaled. {way_out}")
        if not checks.total("nonzero"):
            way_out = self.elsewhere(logarithms=True) or "Pass layer= or use_raw=True if the counts are elsewhere."
            raise ValueError(f"the matrix has only zeros. {way_out}")

    def _require_logarithms(self) -> None:
        checks = self.checks
        whole = checks["cells"] - checks["fractional_cells"]
        only_whole = (checks["fractional_cells"] == 0) & (checks["cells"] >= FEWEST_CELLS)
        given = "normalize=False is for log-normalised values, but"
        if not checks.total("fractional") or only_whole.any():
            who, _, has, it = self._subject(only_whole if only_whole.any() else checks["cells"] > 0, part_of="cells")
            raise ValueError(
                f"{given} {who} {has} whole numbers only, so {it} to hold raw counts. Leave normalize out."
            )
        if self.scaled:
            raise ValueError(f"{given} {self.scaled}, without a logarithm. Leave normalize out, or apply log1p first.")
        if large := checks.total("large"):
            values = f"{large:,} values above {LOG_CEILING:g}, more than logarithms reach"
            warn(f"{given} {self._holder('large')} {values}.")
        if whole.sum() >= max(FEWEST_CELLS, SMALLEST_SHARE * checks.total("cells")):
            cells = f"{int(whole.sum()):,} of {checks.total('cells'):,} cells"
            warn(f"{given} {cells} have whole numbers only, so they seem to hold raw counts.")

    def _doubtful(self) -> np.ndarray:
        """Parts that have fractions and nothing above `LOG_CEILING`, as logarithms or small corrected counts."""
        checks = self.checks
        values = checks.total("nonzero") - checks["values"]
        large = checks.total("large") - checks["large_among"]
        expected = large / np.maximum(values, 1) * checks["values"]
        share = checks["fractional_cells"] / np.maximum(checks["cells"], 1)
        is_scaled = ~np.isnan(checks.same_sum("scaled"))
        has_no_large = (checks["fractional_cells"] > 0) & (checks["large_among"] == 0) & ~is_scaled
        return has_no_large & ((large == 0) | ((expected >= FEWEST_LARGE) & (share >= SMALLEST_SHARE)))

    def _logarithms(self, logged: np.ndarray) -> tuple[str, str]:
        """What shows that the values are logarithms, and the way out."""
        who, are, _, _ = self._subject(logged)
        total = _rounded(self.checks.same_sum("logged")[logged])
        found = f"{who} {are} log-normalised: expm1 of every cell sums to {total}"
        others = self.checks.total("cells") - int(self.checks["fractional_cells"][logged].sum())
        if others:
            return f"{found}. The other {others:,} cells are not", LOGGED
        return found, self._counts() or "Pass normalize=False, or layer= for the layer that holds the counts."

    def _counts(self) -> str:
        """Where the counts are, if that is known."""
        found = self.elsewhere()
        return found and f"{found} Or pass normalize=False to use the logarithms."

    def _holder(self, column: str) -> str:
        """The parts that have such values, with "has" or "have"; the matrix if all have."""
        chosen = self.checks[column] > 0
        return f"{self._named(chosen)} {'has' if chosen.all() or chosen.sum() == 1 else 'have'}"

    def _named(self, chosen: np.ndarray) -> str:
        return "the matrix" if chosen.all() else join_names(np.array(self.parts.names, dtype=object)[chosen])

    def _subject(self, chosen: np.ndarray, part_of: str = "fractional_cells") -> tuple[str, str, str, str]:
        """The cells with fractions of these parts, with "is", "has" and "it seems" in the same number."""
        some, cells = int(self.checks[part_of][chosen].sum()), int(self.checks["cells"][chosen].sum())
        name = self._named(chosen)
        if some < cells:
            return f"{some:,} of {cells:,} cells" + f" of {name}" * (name != "the matrix"), "are", "have", "they seem"
        if name == "the matrix" or chosen.sum() == 1:
            return name, "is", "has", "it seems"
        return name, "are", "have", "they seem"


def _rounded(sums: np.ndarray) -> str:
    return join_names(dict.fromkeys(f"{total:,.0f}" if total >= 10 else f"{total:.3g}" for total in sums))
