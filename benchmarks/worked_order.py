"""An order from data to files: 100 genes on top of a printed panel on Xenium v1, with every command and what it says.

The line holds the commands, what they print and the first lines of the files; ``docs/worked-order.md`` is made from it.
``--page`` only makes the page again.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import record

NAME = "worked_order"
PAGE = Path(__file__).parents[1] / "docs" / "worked-order.md"
TEMPLATE = Path(__file__).with_name("worked_order.md")
WIDTH, LINES = 150, 3
CELLS = "cells.h5ad"
LIMITS = "--platform xenium_v1 --max-counts - 30 --max-transcripts 850"
BOTH = "--groupby cell_type cell_subtype --min-cells 10"
PRINTED = "--extend printed/gene_panel.json"
STEPS = {
    "printed": f"panel {CELLS} --groupby cell_type --n-genes 248 --max-transcripts 400 --no-figures --out printed",
    "panel": f"panel {CELLS} {BOTH} --n-genes 100 {PRINTED} {LIMITS} --no-figures --out order",
    "validate": "validate order --out order/validation.html",
    "sheet": "export order --format sheet --out order/sheet.csv",
    "cosmx": "export order --format cosmx --out order/cosmx.csv",
}
FILES = ("printed/gene_panel.json", "order/xenium.csv", "order/sheet.csv", "order/cosmx.csv", "order/slide.csv")


def main(arguments: list[str]) -> None:
    """Run all steps, append a line, and make the page."""
    parser = record.parser(NAME)
    parser.add_argument("--page", action="store_true", help="only make the page from the newest line")
    options = parser.parse_args(arguments)
    if not options.page:
        with tempfile.TemporaryDirectory() as folder:
            record.write(options.json, [run(options.data, Path(folder))])
    PAGE.write_text(page(newest(options.json)), encoding="utf-8")
    print(PAGE)


def run(data: Path, folder: Path) -> dict:
    """The row: commands with what they print, files, and the facts that the page names."""
    import anndata as ad
    import numpy as np

    adata = ad.read_h5ad(data / "zeisel.h5ad")
    labels = adata.obs["cell_subtype"].astype(object)
    adata.obs["cell_subtype"] = labels.where(labels != "(none)", np.nan)  # cells that the authors left without a type
    adata.write_h5ad(folder / CELLS)
    done = {name: call(command, folder) for name, command in STEPS.items()}
    return {
        "benchmark": NAME,
        "problem": {"set": "zeisel", "steps": STEPS},
        "said": {name: said for name, (_, said) in done.items()},
        "files": {name: head(folder / name) for name in FILES},
        "facts": facts({name: found for name, (found, _) in done.items()}),
    }


def call(command: str, folder: Path) -> tuple[dict, str]:
    """The object of a command, and what it says to people, which goes to standard error beside an object."""
    words = [sys.executable, "-m", "smash_gpu.cli", *shlex.split(command), "--json"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout), done.stderr


def facts(found: dict[str, dict]) -> dict:
    """Numbers for the text, from the objects of ``--json``."""
    panel, slide, checks = found["panel"], found["panel"]["slide"], found["validate"]["checks"]
    sets = [row["probe_sets"] for row in panel["panel"]]
    verdicts = [row["verdict"] for row in checks]
    return {
        "chosen": len(panel["panel"]),
        "on_slide": len(slide),
        "resolution": panel["curve"][-1]["resolution"],
        "resolution_before": panel["curve"][0]["resolution"],
        "of_bound": panel["curve"][-1]["of_bound"],
        "fullest": max(row["used"] for row in panel["caps"]),
        "probe_sets": {str(n): sets.count(n) for n in sorted(set(sets))},
        "verdicts": {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)},
    }


def head(path: Path) -> str:
    """The first lines of a file, long ones cut."""
    lines = path.read_text(encoding="utf-8").splitlines()
    n = LINES if path.suffix == ".csv" else next(i for i, line in enumerate(lines) if "custom" in line or i == 33)
    return "\n".join([*(cut(line) for line in lines[:n]), "…"])


def cut(line: str) -> str:
    """A line of at most `WIDTH` characters."""
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def newest(path: Path) -> dict:
    """The last line of the file."""
    return json.loads(path.read_text(encoding="utf-8").splitlines()[-1])


def page(row: dict) -> str:
    """The page: the template with commands, what they say, files and numbers."""
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, command in row["problem"]["steps"].items():
        text = text.replace(f"{{{{command {name}}}}}", f"```bash\nsmash-gpu {command}\n```")
        out = "\n".join(cut(line) for line in row["said"][name].strip().splitlines())
        text = text.replace(f"{{{{output {name}}}}}", f"```text\n{out}\n```")
    for name, lines in row["files"].items():
        text = text.replace(f"{{{{file {name}}}}}", f"```text\n{lines}\n```")
    fact = row["facts"]
    sets = ", ".join(f"{float(n):g} for {count} genes" for n, count in fact["probe_sets"].items())
    words = {
        "chosen": f"{fact['chosen']}",
        "on_slide": f"{fact['on_slide']}",
        "resolution": f"{fact['resolution']:.0%}",
        "before": f"{fact['resolution_before']:.0%}",
        "bound": f"{np.floor(100 * fact['of_bound']):.0f}%",  # a bound is not rounded up
        "fullest": f"{fact['fullest']:.0f}",
        "sets": sets,
        "verdicts": ", ".join(f"{n} {verdict}" for verdict, n in fact["verdicts"].items()),
        "made": f"{row['date']}, commit {row['commit']}, smash-gpu {row['versions'].get('smash-gpu', '')}",
    }
    for name, value in words.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    return text
