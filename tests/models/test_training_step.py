"""Recorded training steps on a stand-in for CUDA graphs: a record computes nothing, and repeats on the same tensors."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections import Counter
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from smash_gpu.models import torch_training, training_step  # noqa: E402
from smash_gpu.models.training_step import PLAIN_STEPS, GroupLasso, RecordedStep, Step  # noqa: E402


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


def trained(monkeypatch, step, blocks, held_out, penalty=0.0):
    """The losses of each epoch, and the network."""
    losses, original = [], torch_training.held_out_loss
    with monkeypatch.context() as patched:
        patched.setattr(torch_training, "training_step", step)
        patched.setattr(torch_training, "held_out_loss", lambda *a: losses.append(original(*a)) or losses[-1])
        with torch_training.seeded(0, "cpu"):
            network = torch_training.perceptron(12, 3)
            torch_training.learn(
                network, blocks, held_out, torch.tensor([0.5, 1.0, 2.0]), GroupLasso.of(network, 12, penalty),
                max_epochs=8, patience=8, tol=0.0, learning_rate=1e-2, batch_size=16,
            )  # fmt: skip
    return losses, network


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("sizes", [(100,), (64,), (49, 50, 49)], ids=["last is smaller", "all equal", "three blocks"])
def test_recorded_steps_are_the_plain_steps(monkeypatch, rng, sizes, penalty):
    """Also with drop-out, batches of several sizes, and a batch of one cell, which is left out."""
    blocks, held_out, graphs = [block(rng, n) for n in sizes], [block(rng, 30)], StandInGraphs()
    losses, plain = trained(monkeypatch, Step, blocks, held_out, penalty)
    found, recorded = trained(monkeypatch, lambda *how: RecordedStep(*how, graphs), blocks, held_out, penalty)
    assert found == losses
    for name, value in plain.state_dict().items():
        assert torch.equal(recorded.state_dict()[name], value), name
    batches = Counter(min(16, n - start) for n in sizes for start in range(0, n, 16) if n - start > 1)
    assert graphs.asked == {
        "run": PLAIN_STEPS * len(batches),
        "recorded": len(batches),
        "repeated": 8 * batches.total() - PLAIN_STEPS * len(batches),
    }


def test_no_more_than_some_batch_sizes_are_recorded(monkeypatch, rng):
    monkeypatch.setattr(training_step, "MOST_RECORDED", 2)
    x, y = block(rng, 40)
    network, graphs = torch_training.perceptron(12, 3), StandInGraphs()
    step = RecordedStep(network, torch.ones(3), 1e-2, None, graphs)
    for size in [4, 5, 6, 7] * (PLAIN_STEPS + 2):
        step(x, y, torch.arange(size))
    assert graphs.asked["recorded"] == 2
    assert graphs.asked["repeated"] == 4
    assert graphs.asked["run"] == 4 * PLAIN_STEPS + 4


def test_gradients_are_cleared_by_each_step(rng):
    """A record that finds a gradient would add to it for ever."""
    network = torch_training.perceptron(12, 3)
    x, y = block(rng, 20)
    Step(network, torch.ones(3), 1e-3)(x, y, torch.arange(10))
    assert all(p.grad is None for p in network.parameters())


class Own(torch.nn.Linear):
    """Branches on values."""

    def forward(self, x):
        return super().forward(x) if float(x.sum()) > 0 else x


class OnDevice:
    device = torch.device("cuda")


def perceptron():
    return torch_training.perceptron(12, 3)


def with_own():
    return torch.nn.Sequential(Own(12, 3))


def without_momentum():
    return torch.nn.Sequential(torch.nn.BatchNorm1d(12, momentum=None), torch.nn.Linear(12, 3))


def with_layer(kind):
    sizes = {torch.nn.Linear: (12, 12), torch.nn.BatchNorm1d: (12,), torch.nn.LayerNorm: (12,)}
    return torch.nn.Sequential(kind(*sizes.get(kind, ())), torch.nn.Linear(12, 3))


def test_only_networks_that_can_be_recorded_are(monkeypatch):
    monkeypatch.setattr(training_step, "Graphs", StandInGraphs)
    for make, weights, expected in (
        (perceptron, OnDevice(), RecordedStep),
        (with_own, OnDevice(), Step),
        (without_momentum, OnDevice(), Step),
        (perceptron, torch.ones(3), Step),
    ):
        assert type(training_step.training_step(make(), weights, 1e-3)) is expected


@pytest.mark.slow
def test_a_step_that_is_recorded_looks_at_no_value():
    """On tensors without values (`FakeTensorMode`): what asks for one fails there, and would wait in a graph."""
    from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

    def learnt(make):
        with FakeTensorMode():
            x, y = torch.rand(20, 12), torch.randint(3, (20,))
            network = make().train()
            training_step.Step(network, torch.ones(3), 1e-3, GroupLasso.of(network, 12, 0.3)).learn(x, y)

    for make in (perceptron, *(partial(with_layer, kind) for kind in training_step.RECORDABLE)):
        assert training_step.is_recordable(make())
        learnt(make)
    with pytest.raises(DataDependentOutputException):
        learnt(with_own)


def test_torch_records_as_it_is_asked_to():
    """The names of arguments and methods that only a device would use."""
    assert {"stream", "capture_error_mode"} <= set(inspect.signature(torch.cuda.graph.__init__).parameters)
    assert all(hasattr(torch.cuda.CUDAGraph, name) for name in ("capture_begin", "capture_end", "replay"))
    assert hasattr(torch.cuda.Stream, "wait_stream")


@pytest.mark.slow
def test_the_network_is_trained_without_the_torch_compiler():
    """Its import takes longer than the training of small data."""
    code = (
        "import sys, smash_gpu as smg; smg.tl.smash(smg.datasets.planted(), 'cell_type', model='dnn', device='cpu');"
        "print([m for m in ('torch._dynamo', 'torch._inductor', 'sympy', 'shap', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
