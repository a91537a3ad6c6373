"""What is needed to compute the results again."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from smash_gpu.annotated.columns import column
from smash_gpu.data.fingerprint import fingerprint
from smash_gpu.report._options import in_words
from smash_gpu.report._results import Results
from smash_gpu.selection.options import STEPS

VERSIONS = "versions"
ORDER = ("source", "within", *STEPS, "evaluation")


@dataclass(frozen=True)
class Provenance:
    """Fingerprint of the data, seed, options per step, versions of packages."""

    fingerprint: str
    seed: str
    steps: dict[str, dict[str, str]]
    versions: dict[str, str]


def describe_provenance(results: Results) -> Provenance:
    """What the slots recorded, and what the data were."""
    cells = column(results.adata.obs, results.source["groupby"], "obs")
    labels = (None if missing else str(label) for label, missing in zip(cells, cells.isna(), strict=True))
    return Provenance(
        fingerprint=fingerprint(results.data.matrix, results.data.names, labels),
        seed=str(results.recorded("importance").get("random_state", "–")),
        steps=_steps(results),
        versions=dict(sorted(results.recorded(VERSIONS).items()))
        | {
            "python (of this report)": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
        },
    )


def _steps(results: Results) -> dict[str, dict[str, str]]:
    """Options per step in the order of the work; a file may hold them in any other."""
    known = results.adata.uns.get(results.key, {}).get("params", {}).keys() - {VERSIONS}
    found = {step: results.recorded(step) for step in sorted(known, key=_turn)}
    return {
        step: {name: in_words(value) for name, value in sorted(options.items())}
        for step, options in found.items()
        if options
    }


def _turn(step: str) -> tuple[int, str]:
    return (ORDER.index(step) if step in ORDER else len(ORDER)), step
