"""Tune the options of a model, and use what was found."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from smash_gpu.cli import arguments
from smash_gpu.cli.inputs import filters_of, kept_in, named, open_data, paper_of, writable
from smash_gpu.cli.json_output import Result
from smash_gpu.runtime.paths import require_file
from smash_gpu.selection.trials import Budget

PURPOSE = "search for the options with which a model predicts best"
FILE = "tuning.json"
TRIALS_SHOWN = 5


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of ``smash-gpu tune``."""
    arguments.add_source(command)
    command.add_argument("--batch-key", metavar="COLUMN", help="column of obs with batches, corrected by Harmony")
    arguments.add_candidates(command)
    command.add_argument("--n-trials", type=int, default=Budget.n_trials, metavar="N", help="number of trials")
    command.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="time after which no further trial begins; default: no limit"
    )
    arguments.add_work(command)


def run(options: argparse.Namespace) -> Result:
    """Tune, print the best trials, write all to ``--out``."""
    from smash_gpu import get, tl

    out = writable(options.out)
    adata, source = open_data(options)
    print(f"{named(options)}: {adata.n_obs:,} cells × {adata.n_vars:,} genes", flush=True)
    tl.tune(
        adata,
        options.groupby,
        model=options.model,
        n_trials=options.n_trials,
        timeout=options.timeout,
        model_options=paper_of(options).get("model_options"),
        max_cells=options.max_cells,
        random_state=options.random_state,
        filters=filters_of(options),
        inverse_pca=paper_of(options).get("inverse_pca", options.inverse_pca),
        batch_key=options.batch_key,
        work=kept_in(options),
        **source,
    )
    table = get.tuning(adata, options.model).drop(columns="model")
    first = table.sort_values("value", ascending=False, kind="stable")[:TRIALS_SHOWN]
    print(f"\nBest of {len(table)} trials (value: macro F1 on held-out cells; trial 0 has the defaults):")
    print(first.drop(columns=[] if first["error"].any() else "error").to_string(index=False))
    best = get.tuned_options(adata, options.model)
    print("\nBest options: " + (", ".join(f"{name} = {value}" for name, value in best.items()) or "the defaults"))
    written = [] if out is None else _write(adata, options, out)
    return Result({"model": options.model, "options": best, "trials": table, "written": written})


def _write(adata: Any, options: argparse.Namespace, out: Path) -> list[Path]:
    from smash_gpu import get
    from smash_gpu.annotated import of_tuning, slots

    out.mkdir(parents=True, exist_ok=True)
    get.tuning(adata, options.model).to_csv(out / "trials.csv", index=False)
    trials = of_tuning.tuning(adata, slots.KEY).drop(columns="model")
    found = {
        "model": options.model,
        "options": get.tuned_options(adata, options.model),
        "params": slots.recorded(adata, of_tuning.slot_of(slots.KEY), options.model),
        "made_from": of_tuning.made_from(adata, options.model, slots.KEY),
        "trials": json.loads(trials.to_json(orient="records", double_precision=15)),
    }
    (out / FILE).write_text(json.dumps(found, indent=2))
    print(f"Written to {out}: {FILE} trials.csv; use it by smash-gpu find --tuned {out / FILE}")
    return [out / FILE, out / "trials.csv"]


def use_tuned(adata: Any, options: argparse.Namespace) -> None:
    """With ``--tuned``: its models are the model, and their options are those of `tl.tune` in ``adata``.

    Raises
    ------
    ValueError
        With ``--paper``, if a file is of something else, or the files are of other models than ``--model``.
    """
    from smash_gpu.annotated import of_tuning, slots

    if options.tuned is None:
        return
    if getattr(options, "paper", False):
        raise ValueError("--paper and --tuned both set the options of the model; pass one of them.")
    models = []
    for path in options.tuned:
        model, params, made_from, trials = _read(path)
        models.append(model)
        of_tuning.write(adata, model, trials, params, made_from=made_from, key=slots.KEY)
    asked = {options.model} if isinstance(options.model, str) else set(options.model)
    if getattr(options, "model_is_given", False) and asked != set(models):
        raise ValueError(f"the files of --tuned are of {', '.join(models)}, not of {', '.join(asked)}; omit --model.")
    options.model = models[0] if len(models) == 1 else tuple(models)


def best_options(adata: Any, model: str | tuple[str, ...]) -> dict[str, Any]:
    """The tuned options of a model, or of several by name."""
    from smash_gpu import get

    if isinstance(model, str):
        return get.tuned_options(adata, model)
    return {name: get.tuned_options(adata, name) for name in model}


def _read(path: Path) -> tuple[str, dict[str, Any], dict[str, Any], Any]:
    """Model, options of the step, the data they are of, and trials."""
    import pandas as pd

    require_file(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        trials = pd.DataFrame(found["trials"]).astype({"value": float})
        return found["model"], found["params"], found["made_from"], trials
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a {FILE} of smash-gpu tune ({error!r}).") from error
