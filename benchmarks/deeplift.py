"""DeepLIFT in closed form compared with ``shap.DeepExplainer``, on one problem in one process."""

from __future__ import annotations

import copy

import numpy as np

from benchmarks import record

GENES, GROUPS, EXPLAINED, BACKGROUND = 2000, 10, 200, 200


def main(arguments: list[str]) -> None:
    """Time both, compare their values, print and append one line."""
    import shap
    import torch

    from smash_gpu.models.attribution import deeplift
    from smash_gpu.models.torch_training import perceptron, seeded

    options = record.parser("deeplift")
    options.add_argument("--shap-cells", type=int, default=20, help="cells that shap explains; its time is scaled up")
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where both compute")
    options = options.parse_args(arguments)
    with seeded(0, "cpu"):
        network = perceptron(GENES, GROUPS)
        network(torch.randn(2000, GENES))  # batch statistics of a network in use
        x, background = torch.randn(EXPLAINED, GENES), torch.randn(BACKGROUND, GENES)
    network, x, background = (part.to(options.device) for part in (network.eval(), x, background))
    layers = deeplift.Layers.of(network)
    rows = []
    for rule in deeplift.SOFTMAX_RULES:
        ours = record.timed(lambda rule=rule: run(layers, x, background, rule), repeats=5)
        rows.append({"benchmark": "deeplift", "what": f"closed form, softmax_rule={rule}", "cells": EXPLAINED, **ours})
    explainer = shap.DeepExplainer(torch.nn.Sequential(copy.deepcopy(network), torch.nn.Softmax(dim=-1)), background)
    some = x[: options.shap_cells]
    theirs = record.timed(lambda: explainer.shap_values(some, check_additivity=False), repeats=3)
    scale = EXPLAINED / len(some)
    exact = torch.nn.Sequential(copy.deepcopy(network), torch.nn.Softmax(dim=-1)).double()
    values = shap.DeepExplainer(exact, background.double()).shap_values(some.double(), check_additivity=False)
    values = np.asarray(values).transpose(0, 2, 1)
    difference = np.abs(values - run(layers, some, background, "torch")).max() / np.abs(values).max()
    for row in rows:
        row["times_faster_than_shap"] = scale * theirs["median_s"] / row["median_s"]
    row = {"benchmark": "deeplift", "what": "shap.DeepExplainer", "cells": len(some), **theirs}
    row |= {"scaled_to_cells": EXPLAINED, "scaled_median_s": scale * theirs["median_s"]}
    row["largest_difference_relative"] = float(difference)
    rows.append(row)
    problem = {
        "device": options.device,
        "genes": GENES,
        "groups": GROUPS,
        "explained": EXPLAINED,
        "background": BACKGROUND,
    }
    if options.device == "cuda":
        from benchmarks import gpu
        from smash_gpu.compute.xp import cupy

        rows = [row | {"gpu": gpu.device(cupy)} for row in rows]
    rows = [row | {"problem": problem} for row in rows]
    record.write(options.json, rows)
    for row in rows:
        print({k: v for k, v in row.items() if k not in ("benchmark", "problem", "gpu")})
    print(problem, record.machine(), record.versions())


def run(layers, x, background, rule) -> np.ndarray:
    """All attributions; cells × groups × genes."""
    from smash_gpu.models.attribution import deeplift

    return np.concatenate([part.cpu().numpy() for part in deeplift.contributions(layers, x, background, rule)])
