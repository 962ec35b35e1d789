"""Learn the moment of inertia of point masses with an equivariant network, from 1000 examples.

The input is five point masses with their positions, 5V⁰+5V, and the output their moment of
inertia, a matrix of type V². The network is equivariant under rotations before, during and after
training; ``--network MLP`` instead trains a plain network of the same width. The training loop is
written out with optax; ``intertwine.training.fit`` does the same in one call, and faster.

    python examples/inertia.py
    python examples/inertia.py --network MLP --out mlp.png
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import equinox as eqx
import intertwine
import jax
import jax.numpy as jnp
import numpy as np
import optax
from intertwine.datasets import Inertia, Loader
from intertwine.groups import SO, Group
from intertwine.reps import Rep
from jax import Array
from matplotlib.figure import Figure
from tqdm.auto import tqdm

BATCH_SIZE = 500
LEARNING_RATE = 3e-3
TESTED_EVERY = 10  # epochs

Batch = tuple[np.ndarray, np.ndarray]  # inputs (b, 20) and targets (b, 9)


def main() -> None:
    """Train, draw the losses, and measure how equivariant the network is."""
    options = read_options()
    G = SO(3)
    trainset, testset = Inertia(1000), Inertia(2000)
    rin, rout = trainset.rep_in(G), trainset.rep_out(G)
    print(f"Input type: {rin}, output type: {rout}")

    network = {"EMLP": intertwine.nn.EMLP, "MLP": intertwine.nn.MLP}[options.network]
    model = network(trainset.rep_in, trainset.rep_out, group=G, num_layers=3, ch=384)

    started = time.perf_counter()
    testloader = Loader(testset, batch_size=BATCH_SIZE, shuffle=True)
    trainloader = Loader(trainset, batch_size=BATCH_SIZE, shuffle=True)
    model, train_losses, test_losses = train(model, trainloader, testloader, options.epochs)
    print(f"Trained {options.epochs} epochs in {time.perf_counter() - started:.1f} s")
    print(f"Last train loss {train_losses[-1]:.2e}, last test loss {test_losses[-1]:.2e}")

    draw_losses(train_losses, test_losses).savefig(options.out, dpi=150)
    print(f"Losses drawn in {options.out}")

    errors = [equivariance_error(model, x, rin, rout, G) for x, _ in testloader]
    print(f"Average test equivariance error {np.mean(errors):.2e}")


def train(
    model: eqx.Module, trainloader: Iterable[Batch], testloader: Iterable[Batch], epochs: int
) -> tuple[eqx.Module, list[float], list[float]]:
    """Return the trained model, the training loss of each epoch, and the test losses."""
    optimizer = optax.adam(LEARNING_RATE)
    state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def loss(model: eqx.Module, x: Array, y: Array) -> Array:
        return jnp.mean((model(x) - y) ** 2)

    @eqx.filter_jit
    def step(
        model: eqx.Module, state: optax.OptState, x: Array, y: Array
    ) -> tuple[eqx.Module, optax.OptState, Array]:
        value, gradient = eqx.filter_value_and_grad(loss)(model, x, y)
        updates, state = optimizer.update(gradient, state)
        return eqx.apply_updates(model, updates), state, value

    train_losses, test_losses = [], []
    for epoch in tqdm(range(epochs), unit="epoch"):
        values = []
        for x, y in trainloader:
            model, state, value = step(model, state, x, y)
            values.append(value)
        train_losses.append(float(np.mean(values)))
        if epoch % TESTED_EVERY == 0:
            test_losses.append(float(np.mean([loss(model, x, y) for x, y in testloader])))
    return model, train_losses, test_losses


def draw_losses(train_losses: list[float], test_losses: list[float]) -> Figure:
    """Plot both losses by epoch, on a logarithmic scale."""
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot(xlabel="epoch", ylabel="mean squared error", yscale="log")
    axes.plot(np.arange(len(train_losses)), train_losses, label="train loss")
    axes.plot(TESTED_EVERY * np.arange(len(test_losses)), test_losses, label="test loss")
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def equivariance_error(
    model: Callable[..., Any], x: np.ndarray, rin: Rep, rout: Rep, G: Group
) -> float:
    """How far f(ρ(g)x) is from ρ(g)f(x), relative to both, with an element g for each x."""
    gs = G.samples(len(x))
    rho_in, rho_out = jax.vmap(rin.rho_dense)(gs), jax.vmap(rout.rho_dense)(gs)
    moved_before = model((rho_in @ x[..., None])[..., 0], training=False)
    moved_after = (rho_out @ model(x, training=False)[..., None])[..., 0]
    return float(relative_error(moved_before, moved_after))


def relative_error(a: Array, b: Array) -> Array:
    """Return the distance of a and b divided by the sum of their norms."""
    size = jnp.linalg.norm
    return size(a - b) / (size(a) + size(b))


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description="Learn moments of inertia with a rotation-equivariant network.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--network", choices=("EMLP", "MLP"), default="EMLP", help="what to train")
    parser.add_argument("--epochs", type=natural, default=500, help="passes over the 1000 examples")
    parser.add_argument(
        "--out", type=Path, default=Path("losses.png"), help="file for the loss plot"
    )
    return parser.parse_args()


def natural(text: str) -> int:
    """Read a number of epochs, at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least one epoch, not {text}")
    return number


if __name__ == "__main__":
    main()
