"""Recorded training steps on a stand-in for CUDA graphs: a record computes nothing, and repeats on the same tensors."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from smash_gpu.models import torch_training, training_step  # noqa: E402
from smash_gpu.models.training_step import PLAIN_STEPS, RecordedStep, Step  # noqa: E402


class StandInGraphs:
    """Keeps the function instead of its kernels, and what it was asked for."""

    def __init__(self):
        self.asked = Counter()

    def run(self, function):
        self.asked["run"] += 1
        function()

    def record(self, function):
        self.asked["recorded"] += 1

        def repeat():
            self.asked["repeated"] += 1
            function()

        return repeat


def block(rng, n_cells):
    return torch.as_tensor(rng.normal(size=(n_cells, 12)).astype(np.float32)), torch.as_tensor(
        rng.integers(0, 3, n_cells)
    )


def trained(monkeypatch, step, blocks, held_out):
    """The losses of each epoch, and the network."""
    losses, original = [], torch_training.held_out_loss
    with monkeypatch.context() as patched:
        patched.setattr(torch_training, "training_step", step)
        patched.setattr(torch_training, "held_out_loss", lambda *a: losses.append(original(*a)) or losses[-1])
        with torch_training.seeded(0, "cpu"):
            network = torch_training.perceptron(12, 3)
            torch_training.learn(
                network, blocks, held_out, torch.tensor([0.5, 1.0, 2.0]),
                max_epochs=8, patience=8, learning_rate=1e-2, batch_size=16,
            )  # fmt: skip
    return losses, network


@pytest.mark.parametrize("sizes", [(100,), (64,), (49, 50, 49)], ids=["last is smaller", "all equal", "three blocks"])
def test_recorded_steps_are_the_plain_steps(monkeypatch, rng, sizes):
    """Also with drop-out, batches of several sizes, and a batch of one cell, which is left out."""
    blocks, held_out, graphs = [block(rng, n) for n in sizes], [block(rng, 30)], StandInGraphs()
    losses, plain = trained(monkeypatch, Step, blocks, held_out)
    found, recorded = trained(monkeypatch, lambda *how: RecordedStep(*how, graphs), blocks, held_out)
    assert found == losses
    for name, value in plain.state_dict().items():
        assert torch.equal(recorded.state_dict()[name], value), name
    batches = Counter(min(16, n - start) for n in sizes for start in range(0, n, 16) if n - start > 1)
    assert graphs.asked == {
        "run": PLAIN_STEPS * len(batches),
        "recorded": len(batches),
        "repeated": 8 * batches.total() - PLAIN_STEPS * len(batches),
    }


def test_gradients_are_cleared_by_each_step(rng):
    """A record that finds a gradient would add to it for ever."""
    network = torch_training.perceptron(12, 3)
    x, y = block(rng, 20)
    Step(network, torch.ones(3), 1e-3)(x, y, torch.arange(10))
    assert all(p.grad is None for p in network.parameters())


def test_only_networks_of_torchs_own_layers_are_recorded(monkeypatch):
    class Own(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x) if float(x.sum()) > 0 else x

    class OnDevice:
        device = torch.device("cuda")

    monkeypatch.setattr(training_step, "Graphs", StandInGraphs)
    network = torch_training.perceptron(12, 3)
    with_own = torch.nn.Sequential(torch.nn.Linear(12, 12), Own(12, 12))
    for module, weights, expected in (
        (network, OnDevice(), RecordedStep),
        (with_own, OnDevice(), Step),
        (network, torch.ones(3), Step),
    ):
        assert type(training_step.training_step(module, weights, 1e-3)) is expected
