"""Time a training step and a forward of the networks, interleaved in one process.

Times are medians for Adam and batches of random numbers, in wall time and in CPU time of the whole
process. A ratio to `eqx.nn.MLP` with 3 layers of 384 is the median of the ratios within each round.
All run with `freed_memory_kept`, without which the networks with the largest memory have page
faults at each step (--give-memory-back shows them).

Our networks use our helpers: gradients in microbatches, `Packing`, and forwards with `in_pieces`.
"eqx.nn.MLP" is trained and called in the usual way, and "eqx.nn.MLP, helped" with our helpers;
"EMLP, usual step" is ours in the usual way.

With --peers, the same tasks are run by e3nn-jax, cuequivariance-jax, e3nn, escnn and symm-learning
(`benchmarks/peers.py`), as far as they are installed and can express the task. Their ratios are to
a plain network of 3 layers of 384 in the same framework. They are not in the lock: make another
environment for them.

    python benchmarks/train_step.py                         # the paper's tasks
    python benchmarks/train_step.py O5Synthetic --batch 500 --json
    python benchmarks/train_step.py "Inertia SO(3)" "D4 regular" --peers
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from intertwine.groups import SO, Group, O, parse_group
from intertwine.nn import EMLP, MLP, Linear, Pointwise, Sequential, in_pieces
from intertwine.reps import Rep, Scalar, V
from intertwine.training import Packing, freed_memory_kept, value_and_grad_in_microbatches
from intertwine.training.microbatches import MICROBATCH
from step_times import HEAD, Row, Runnable, line, machine, measured

TASKS: dict[str, tuple[Rep, Rep, Group]] = {
    "Inertia SO(3)": (5 * Scalar + 5 * V, V**2, SO(3)),
    "Inertia O(3)": (5 * Scalar + 5 * V, V**2, O(3)),
    "O5Synthetic": (2 * V, Scalar, O(5)),
    "ParticleInteraction": (4 * V, Scalar, parse_group("SO13p")),
}
BATCHES = (1, 64, 500, 4096)
PLAIN, HELPED, OURS, USUAL = "eqx.nn.MLP", "eqx.nn.MLP, helped", "EMLP", "EMLP, usual step"
NETWORKS = (PLAIN, HELPED, "MLP", OURS, "EMLP, 8 channels", USUAL, "EMLP, paper")
DEFAULT = NETWORKS[:5]
UNHELPED = (PLAIN, USUAL)


class Regular:
    """Chains of linear layers and ReLU on copies of the regular rep of a finite group."""

    def __init__(self, generators: list[np.ndarray], copies: int) -> None:
        self.elements = _closure(generators)
        index = {element.tobytes(): i for i, element in enumerate(self.elements)}
        moves = [[index[_times(g, element)] for element in self.elements] for g in generators]
        order = len(self.elements)
        matrices = np.stack([np.eye(order)[:, move].T for move in moves])
        self.group = Group(discrete_generators=matrices, name=f"regular{order}")
        self.copies = copies

    @property
    def reps(self) -> tuple[Rep, Rep, Group]:
        """Input and output: one copy each."""
        return V, V, self.group

    def network(self) -> Any:
        """Three hidden layers, as of the plain network."""
        hidden, layers, rep = self.copies * V, [], V
        for _ in range(3):
            layers += [Linear(rep, hidden, self.group), Pointwise(hidden, "relu", self.group)]
            rep = hidden
        return Sequential(*layers, Linear(rep, V, self.group))


def _times(a: np.ndarray, b: np.ndarray) -> bytes:
    return bytes(a[b].tobytes())


def _closure(generators: list[np.ndarray]) -> list[np.ndarray]:
    """The permutations that generators generate."""
    found = [np.arange(len(generators[0]))]
    seen = {found[0].tobytes()}
    for element in found:
        for g in generators:
            product = g[element]
            if product.tobytes() not in seen:
                seen.add(product.tobytes())
                found.append(product)
    return found


REGULAR = {
    "D4 regular": lambda: Regular([np.array([1, 2, 3, 0]), np.array([0, 3, 2, 1])], 48),
    "A5 regular": lambda: Regular([np.array([1, 2, 3, 4, 0]), np.array([1, 2, 0, 3, 4])], 7),
}
"""With 384 and 420 hidden components: only these can be run by libraries for finite groups."""


class JaxRunner:
    """A compiled step and forward of a network in JAX, with or without our helpers."""

    baseline = PLAIN

    def __init__(
        self,
        make: Callable[[], Any],
        x: jax.Array,
        y: jax.Array,
        helped: bool,
        microbatch: int = MICROBATCH,
    ) -> None:
        start = time.perf_counter()
        model = make()
        self.construct = time.perf_counter() - start
        weights, rest = eqx.partition(model, eqx.is_inexact_array)
        self.parameter_count = sum(leaf.size for leaf in jax.tree.leaves(weights))
        optimiser = optax.adam(1e-3)

        def forward(weights: Any, x: jax.Array) -> jax.Array:
            model = eqx.combine(weights, rest)
            return in_pieces(model, x) if helped else model(x)

        def loss(weights: Any, x: jax.Array, y: jax.Array) -> jax.Array:
            return jnp.mean((eqx.combine(weights, rest)(x) - y) ** 2)

        def usual(weights: Any, state: Any, x: jax.Array, y: jax.Array) -> Any:
            value, gradient = jax.value_and_grad(loss)(weights, x, y)
            updates, state = optimiser.update(gradient, state, weights)
            return optax.apply_updates(weights, updates), state, value

        packing = Packing.of(weights)

        def with_helpers(packed: Any, state: Any, x: jax.Array, y: jax.Array) -> Any:
            gradient_of = value_and_grad_in_microbatches(loss, microbatch)
            value, gradient = gradient_of(packing.unpack(packed), x, y)
            updates, state = optimiser.update(packing.pack(gradient), state, packed)
            return optax.apply_updates(packed, updates), state, value

        step, first = (with_helpers, packing.pack(weights)) if helped else (usual, weights)
        self._weights, self._x, self._y, self._found = weights, x, y, None
        self._trained = jax.tree.map(jnp.copy, first)
        self._state = optimiser.init(first)
        start = time.perf_counter()
        jitted = jax.jit(step, donate_argnums=(0, 1))
        self._step = jitted.lower(self._trained, self._state, x, y).compile()
        self.compile = time.perf_counter() - start
        memory = self._step.memory_analysis()
        self.memory = memory.temp_size_in_bytes if memory is not None else 0
        self._forward = jax.jit(forward).lower(weights, x).compile()

    def train(self) -> None:
        """Run one step."""
        self._trained, self._state, _ = self._step(self._trained, self._state, self._x, self._y)

    def infer(self) -> None:
        """Run one forward."""
        self._found = self._forward(self._weights, self._x)

    def wait(self) -> None:
        """Wait until everything that was started has ended."""
        jax.block_until_ready((self._trained, self._found))


def plain(n_in: int, n_out: int, activation: Any = jax.nn.swish) -> Callable[[], Any]:
    """`eqx.nn.MLP` on batches."""

    def make() -> Any:
        mlp = eqx.nn.MLP(n_in, n_out, 384, 3, activation, key=jax.random.key(0))
        return _Batched(mlp)

    return make


class _Batched(eqx.Module):
    model: Any

    def __call__(self, x: jax.Array) -> jax.Array:
        return jax.vmap(self.model)(x)


def ours(task: str) -> tuple[int, int, dict[str, Callable[[], Any]]]:
    """The sizes of a task, and our networks for it."""
    if task in REGULAR:
        regular = REGULAR[task]()
        order = len(regular.elements)
        made = {PLAIN: plain(order, order, jax.nn.relu), "Linear, ReLU": regular.network}
        return order, order, {**made, HELPED: made[PLAIN]}
    rep_in, rep_out, group = TASKS[task]
    n_in, n_out = rep_in(group).size(), rep_out(group).size() if rep_out != Scalar else 1
    return (
        n_in,
        n_out,
        {
            PLAIN: plain(n_in, n_out),
            HELPED: plain(n_in, n_out),
            "MLP": lambda: MLP(rep_in, rep_out, group),
            OURS: lambda: EMLP(rep_in, rep_out, group),
            "EMLP, 8 channels": lambda: EMLP(rep_in, rep_out, group, channels=8),
            USUAL: lambda: EMLP(rep_in, rep_out, group),
            "EMLP, paper": lambda: EMLP(rep_in, rep_out, group, bilinear="paper"),
        },
    )


def measure(
    task: str, batch: int, rounds: int, networks: Collection[str], peers: Any = None
) -> list[Row]:
    """Networks on one task, the plain ones of all their frameworks among them."""
    n_in, n_out, made = ours(task)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((batch, n)).astype(np.float32) for n in (n_in, n_out)]
    x, y = map(jnp.asarray, arrays)
    runners: dict[str, Runnable] = {
        name: JaxRunner(make, x, y, name not in UNHELPED)
        for name, make in made.items()
        if name in {PLAIN, *networks} or name not in NETWORKS
    }
    if peers is not None:
        for name, make in peers.jax_networks(task).items():
            runners[name] = JaxRunner(make, x, y, helped=False)
        runners |= peers.torch_runners(task, *arrays)
    return measured(task, batch, rounds, runners)


def main() -> None:
    """The table, or its rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=list(TASKS), metavar="TASK")
    parser.add_argument("--batch", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=DEFAULT)
    parser.add_argument("--peers", action="store_true", help="also run other libraries")
    parser.add_argument(
        "--give-memory-back", action="store_true", help="do not use freed_memory_kept"
    )
    arguments = parser.parse_args()
    known = [*TASKS, *REGULAR]
    if unknown := [task for task in arguments.tasks if task not in known]:
        parser.error(f"no such task: {', '.join(unknown)}; there are {', '.join(known)}")
    peers = None
    if arguments.peers:
        import peers

        for library, reason in peers.missing().items():
            print(f"{library} is left out: {reason}", file=sys.stderr)
    if not arguments.json:
        print(f"{machine()}, JAX {jax.__version__}\n{HEAD}")
    with nullcontext() if arguments.give_memory_back else freed_memory_kept():
        for task, batch in itertools.product(arguments.tasks, arguments.batch):
            for row in measure(task, batch, arguments.rounds, arguments.networks, peers):
                print(json.dumps(asdict(row)) if arguments.json else line(row), flush=True)


if __name__ == "__main__":
    main()
