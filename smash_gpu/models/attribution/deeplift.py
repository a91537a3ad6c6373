"""DeepLIFT (rescale rule) of the paper's network in closed form, and ``shap.DeepExplainer`` for others.

For a cell x and background cells r_j the network is linear between the two, with slopes Δa/Δz at each sigmoid unit.
With the batch norms folded into the layers W̃, and T the multipliers of the softmax,

    U_ijch = Σ_k T_ijck Σ_q W3_kq s²_ijq W̃2_qh s¹_ijh
    φ_icf  = 1/B Σ_j Σ_h W̃1_hf U_ijch (x_if − r_jf)

With one hidden layer there is no factor for a second one, with three there is another one. The last line is one matrix
product: (cells · groups) × (B · hidden) times (B · hidden) × genes. The two softmax rules:

* "tf", Keras with shap, as in the paper: the softmax is split into exp, sum and division; the change of the division
  is shared between numerator and sum as Shapley values of two players. Every logit contributes.
* "torch", shap on PyTorch: each probability depends only on its own logit, t_c = Δp_c/Δz_c.

Both are additive: Σ_f φ_icf = p_c(x_i) − mean_j p_c(r_j). They rank genes differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from smash_gpu.models.info import SOFTMAX_RULES
from smash_gpu.runtime.progress import track

SMALLEST_CHANGE = 1e-6  # below this, the slope is the derivative at the background, as in shap
SMALLEST_SOFTMAX_CHANGE = 1e-7
BYTES_AT_ONCE = {"cpu": 64 * 2**20, "cuda": 2**30}  # a CPU cache is small; a GPU needs few launches


@dataclass(frozen=True)
class Layers:
    """Weights and biases of the dense layers with their batch norms folded in; float64."""

    weights: tuple[torch.Tensor, ...]
    biases: tuple[torch.Tensor, ...]

    @classmethod
    def of(cls, network: nn.Module) -> Self:
        """Read a network built by `models.network.perceptron`, in evaluation mode."""
        dense = [layer for layer in network.children() if isinstance(layer, nn.Linear)]
        norms = [layer for layer in network.children() if isinstance(layer, nn.BatchNorm1d)]
        folded = [_fold(d, n) for d, n in zip(dense, [*norms, None], strict=True)]
        weights, biases = zip(*folded, strict=True)
        return cls(weights, biases)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Inputs of the sigmoids of every hidden layer, and of the softmax; cells × units, float64."""
        found: list[torch.Tensor] = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            found.append((found[-1].sigmoid() if found else x.double()) @ weight.T + bias)
        return found


def contributions(
    layers: Layers, x: torch.Tensor, background: torch.Tensor, softmax_rule: str, *, bytes_at_once: int | None = None
) -> Iterator[torch.Tensor]:
    """The attributions φ of explained cells, a few cells at a time; each part cells × groups × genes, float32.

    Slopes are computed in float64, their products in float32. A part of n cells needs about
    ``n · groups · (12 · hidden · background + 8 · genes)`` bytes, and the background once ``4 · hidden · background ·
    genes``; n is at least one and chosen to stay below ``bytes_at_once`` (None: `BYTES_AT_ONCE` of the device).

    Parameters
    ----------
    x, background
        Standardised expression, cells × genes.
    softmax_rule
        "tf" or "torch".
    """
    bytes_at_once = bytes_at_once or BYTES_AT_ONCE[x.device.type]
    hidden, n_genes = layers.weights[0].shape
    n_groups = len(layers.weights[-1])
    centre = background.mean(dim=0)
    w1 = layers.weights[0].float()
    weighted = (((background - centre) / len(background))[:, None, :] * w1).reshape(-1, n_genes)
    reference = layers.forward(background)
    cells = max(1, bytes_at_once // (n_groups * (12 * hidden * len(background) + 8 * n_genes)))
    for part in track(x.split(cells), "DeepLIFT", unit="part"):
        u = multipliers(layers, layers.forward(part), reference, softmax_rule)
        phi = u.mean(dim=2) @ w1
        phi *= (part - centre)[:, None, :]
        yield phi.sub_((u.reshape(len(part) * n_groups, -1) @ weighted).reshape(phi.shape))


def mean_abs(parts: Iterable[torch.Tensor], n_cells: int) -> np.ndarray:
    """Mean of \\|φ\\| over all cells; groups × genes, float64."""
    total = reduce(torch.add, (part.abs().sum(dim=0, dtype=torch.float64) for part in parts))
    return (total / n_cells).cpu().numpy()  # synchronises


def multipliers(
    layers: Layers, explained: list[torch.Tensor], reference: list[torch.Tensor], softmax_rule: str
) -> torch.Tensor:
    """U of the module's head; explained cells × groups × background cells × hidden, float32."""
    _, *between, last = (w.float() for w in layers.weights)
    (x1, *inner_x, x), (r1, *inner_r, r) = ([z[:, None, :] for z in explained], [z[None] for z in reference])
    logits = last[:, None, :]
    for weight, at_x, at_r in zip(between[::-1], inner_x[::-1], inner_r[::-1], strict=True):
        logits = (sigmoid_slope(at_x, at_r)[:, None] * logits) @ weight
    if not between:
        logits = logits.expand(len(x), len(last), len(reference[0]), -1).clone()
    softmax = dict(zip(SOFTMAX_RULES, (_softmax_of_torch, _softmax_of_keras), strict=True))[softmax_rule]
    return softmax(x, r, logits).mul_(sigmoid_slope(x1, r1)[:, None])


def sigmoid_slope(x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    """(σ(x) − σ(r)) / (x − r), or σ'(r) where the two are almost equal."""
    at_r = r.sigmoid()
    return _slope(x - r, x.sigmoid() - at_r, at_r * (1 - at_r))


def _softmax_of_torch(x: torch.Tensor, r: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    at_r = r.softmax(dim=-1)
    slope = _slope(x - r, x.softmax(dim=-1) - at_r, at_r * (1 - at_r))
    return logits.mul_(_by_group(slope))


def _softmax_of_keras(x: torch.Tensor, r: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    ux, ur = (z - z.amax(dim=-1, keepdim=True) for z in (x, r))
    ex, er = ux.exp(), ur.exp()
    sx, sr = ex.sum(dim=-1, keepdim=True), er.sum(dim=-1, keepdim=True)
    numerator = 0.5 * (ex / sx - er / sx + ex / sr - er / sr)
    denominator = 0.5 * (ex / sx - ex / sr + er / sx - er / sr)
    nothing = torch.zeros_like(numerator)
    of_own = _slope(ex - er, numerator, nothing, SMALLEST_SOFTMAX_CHANGE)
    of_sum = _slope((sx - sr).expand_as(nothing), denominator, nothing, SMALLEST_SOFTMAX_CHANGE)
    exponential = _slope(ux - ur, ex - er, er.expand_as(nothing))
    shifted = _slope(x - r, ux - ur, torch.ones_like(nothing))
    each = logits.mul_(_by_group(exponential * shifted))
    together = each.sum(dim=1, keepdim=True)
    return each.mul_(_by_group(of_own)).addcmul_(_by_group(of_sum), together)


def _by_group(slope: torch.Tensor) -> torch.Tensor:
    """From cells × background × groups to the axes of U."""
    return slope.transpose(1, 2)[..., None]


def _slope(change_in: Any, change_out: Any, derivative: Any, smallest: float = SMALLEST_CHANGE) -> torch.Tensor:
    tiny = change_in.abs() < smallest
    return torch.where(tiny, derivative, change_out / torch.where(tiny, 1.0, change_in)).float()


def _fold(dense: nn.Linear, norm: nn.BatchNorm1d | None) -> tuple[torch.Tensor, torch.Tensor]:
    weight, bias = dense.weight.detach().double(), dense.bias.detach().double()
    if norm is None:
        return weight, bias
    assert norm.running_mean is not None and norm.running_var is not None, "perceptron tracks both"
    scale = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
    return weight * scale[:, None], (bias - norm.running_mean.double()) * scale + norm.bias.detach().double()


def by_shap(module: nn.Module, x: torch.Tensor, background: torch.Tensor) -> Iterator[torch.Tensor]:
    """The same attributions of any torch module by ``shap.DeepExplainer`` (softmax rule "torch"), cell by cell."""
    import shap

    explainer = shap.DeepExplainer(nn.Sequential(module, nn.Softmax(dim=-1)), background)
    for cell in track(x.split(1), "shap.DeepExplainer", unit="cell"):
        phi = explainer.shap_values(cell, check_additivity=False)  # cells × genes × groups
        yield torch.as_tensor(np.asarray(phi)).permute(0, 2, 1)
