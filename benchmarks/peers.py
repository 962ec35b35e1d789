"""Networks of other libraries for the tasks of `train_step.py`, where they are installed.

Each has three hidden layers of the irreps of ours (or of as many regular reps), and is trained with
Adam, eagerly in PyTorch and compiled in JAX. Where a library has tensor products, its layers are
those of `EMLP`: a linear map, plus a linear map of products of 16 combinations of the copies of
each irrep, channel by channel, and gates.

`train_step.py --peers` runs them beside ours. escnn and symm-learning need NumPy 1, and so an
environment without JAX, in which this file runs the networks in PyTorch alone:

    pip install e3nn-jax cuequivariance-jax e3nn   # beside this project
    pip install escnn symm-learning e3nn           # in another environment; needs gfortran
    python benchmarks/peers.py "A5 regular" --batch 500
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from step_times import HEAD, line, machine, measured

CHANNELS = 16
LAYERS = 3
LIBRARIES = ("e3nn_jax", "cuequivariance_jax", "e3nn", "escnn", "symm_learning")
PLAIN = "torch MLP"


def missing() -> dict[str, str]:
    """The libraries that cannot be imported, each with the reason."""
    found = {}
    for library in LIBRARIES:
        try:
            importlib.import_module(library)
        except Exception as error:  # what an installation of others lacks shows in many ways
            found[library] = f"{type(error).__name__}: {error}"
    return found


@dataclass(frozen=True)
class Irreps:
    """A task in the notation of e3nn: multiplicities of irreps, scalars first."""

    inputs: str
    hidden: tuple[tuple[int, str], ...]
    outputs: str
    group: str

    @property
    def gated(self) -> str:
        """The hidden irreps."""
        return "+".join(f"{mul}x{ir}" for mul, ir in self.hidden)

    @property
    def gates(self) -> int:
        """One gate for each copy of an irrep other than scalars."""
        return sum(mul for mul, _ in self.hidden[1:])

    @property
    def before_gates(self) -> str:
        """The hidden irreps, with gates behind the scalars."""
        (scalars, name), *others = self.hidden
        return "+".join(f"{mul}x{ir}" for mul, ir in ((scalars + self.gates, name), *others))

    @property
    def channels(self) -> str:
        """The factors of products."""
        return "+".join(f"{CHANNELS}x{ir}" for _, ir in self.hidden)


IRREPS = {
    "Inertia SO(3)": Irreps(
        "5x0e+5x1e", ((116, "0e"), (54, "1e"), (17, "2e")), "1x0e+1x1e+1x2e", "SO3"
    ),
    "Inertia O(3)": Irreps(
        "5x0e+5x1o",
        ((113, "0e"), (43, "1o"), (11, "1e"), (11, "2e")),
        "1x0e+1x1e+1x2e",
        "O3",
    ),
}
"""The hidden irreps of `EMLP` with width 384."""

REGULAR = {"D4 regular": 48, "A5 regular": 7}
"""Copies of the regular rep in hidden layers."""

SIZES = {"Inertia SO(3)": (20, 9), "Inertia O(3)": (20, 9)} | {
    "D4 regular": (8, 8),
    "A5 regular": (60, 60),
}


def jax_networks(task: str) -> dict[str, Callable[[], Any]]:
    """The networks in JAX that can express a task."""
    if task not in IRREPS:
        return {}
    irreps, absent = IRREPS[task], missing()
    import jax_peers  # needs JAX

    made: dict[str, Callable[[], Any]] = {
        "e3nn_jax": lambda: jax_peers.e3nn_jax_network(irreps),
        "cuequivariance_jax": lambda: jax_peers.cuequivariance_network(irreps),
    }
    return {name: make for name, make in made.items() if name not in absent}


def torch_networks(task: str) -> dict[str, Callable[[], Any]]:
    """The networks in PyTorch that can express a task."""
    made: dict[str, Callable[[], Any]] = {}
    if task in IRREPS:
        made["e3nn"] = lambda: _e3nn(IRREPS[task])
    if task in REGULAR:
        made["escnn"] = lambda: _escnn(task)
        made["symm_learning"] = lambda: _symm_learning(task)
    absent = missing() if made else {}
    return {name: make for name, make in made.items() if name not in absent}


def torch_runners(task: str, x: np.ndarray, y: np.ndarray) -> dict[str, TorchRunner]:
    """The networks in PyTorch that can express a task, and a plain one."""
    made = torch_networks(task)
    if not made:
        return {}
    is_regular = task in REGULAR
    plain = {PLAIN: lambda: torch_plain(x.shape[1], y.shape[1], is_regular)}
    return {name: TorchRunner(make, x, y) for name, make in (plain | made).items()}


class TorchRunner:
    """A training step and a forward in PyTorch."""

    baseline = PLAIN
    compile = 0.0
    memory = 0

    def __init__(self, make: Callable[[], Any], x: np.ndarray, y: np.ndarray) -> None:
        import torch

        torch.manual_seed(0)
        start = time.perf_counter()
        with redirect_stdout(sys.stderr):  # escnn reports what it computes
            self._model = make()
        self.construct = time.perf_counter() - start
        self._x, self._y = torch.from_numpy(x), torch.from_numpy(y)
        weights = [p for p in self._model.parameters() if p.requires_grad]
        self.parameter_count = sum(p.numel() for p in weights)
        self._optimiser = torch.optim.Adam(weights, lr=1e-3)
        self._no_grad = torch.no_grad

    def train(self) -> None:
        """Run one step."""
        self._model.train()
        self._optimiser.zero_grad(set_to_none=True)
        ((self._model(self._x) - self._y) ** 2).mean().backward()
        self._optimiser.step()

    def infer(self) -> None:
        """Run one forward, with the weights prepared for it where the library does that."""
        self._model.eval()
        with self._no_grad():
            self._model(self._x)

    def wait(self) -> None:
        """Return at once: PyTorch has already waited."""


def torch_plain(n_in: int, n_out: int, is_regular: bool = False) -> Any:
    """A plain network of PyTorch."""
    from torch import nn

    sizes = (n_in, *[384] * LAYERS)
    activation = nn.ReLU if is_regular else nn.SiLU
    layers = [(nn.Linear(n, m), activation()) for n, m in itertools.pairwise(sizes)]
    return nn.Sequential(*itertools.chain(*layers), nn.Linear(384, n_out))


def _e3nn(irreps: Irreps) -> Any:
    import torch
    from e3nn import nn, o3

    class Block(torch.nn.Module):
        def __init__(self, before: Any) -> None:
            super().__init__()
            factors = o3.Irreps([(CHANNELS, ir) for _, ir in before])
            found = [*_products(factors, [ir for _, ir in o3.Irreps(irreps.gated)])]
            made = o3.Irreps([(CHANNELS, ir) for _, _, ir in found])
            paths = [(i, j, k, "uuu", False) for k, (i, j, _) in enumerate(found)]
            self.left, self.right = (o3.Linear(before, factors) for _ in range(2))
            self.products = o3.TensorProduct(factors, factors, made, paths)
            (scalars, one), *others = irreps.hidden
            self.gate = nn.Gate(
                f"{scalars}x{one}", [torch.nn.functional.silu],
                f"{irreps.gates}x{one}", [torch.sigmoid],
                "+".join(f"{mul}x{ir}" for mul, ir in others),
            )  # fmt: skip
            self.mix = o3.Linear(before + made, self.gate.irreps_in)

        def forward(self, x: Any) -> Any:
            found = self.products(self.left(x), self.right(x))
            return self.gate(self.mix(torch.cat([x, found], dim=-1)))

    hidden = o3.Irreps(irreps.gated)
    blocks = (Block(o3.Irreps(irreps.inputs)), *(Block(hidden) for _ in range(LAYERS - 1)))
    return torch.nn.Sequential(*blocks, o3.Linear(hidden, irreps.outputs))


def _products(factors: Any, kept: Any) -> Iterator[tuple[int, int, Any]]:
    """The products of two irreps that the hidden layer has, with the positions of the factors."""
    for (i, (_, a)), (j, (_, b)) in itertools.product(enumerate(factors), repeat=2):
        yield from ((i, j, c) for c in a * b if c in kept)


def _finite_group(task: str) -> Any:
    from escnn import group

    return group.dihedral_group(4) if task == "D4 regular" else group.ico_group()


def _escnn(task: str) -> Any:
    import torch
    from escnn import gspaces, nn

    space = gspaces.no_base_space(_finite_group(task))
    one, hidden = (nn.FieldType(space, [space.regular_repr] * n) for n in (1, REGULAR[task]))

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            types = (one, *[hidden] * LAYERS)
            layers = [(nn.Linear(n, m), nn.ReLU(m)) for n, m in itertools.pairwise(types)]
            chain = (*itertools.chain(*layers), nn.Linear(hidden, one))
            self.network = nn.SequentialModule(*chain)

        def forward(self, x: Any) -> Any:
            return self.network(one(x)).tensor

    return Network()


def _symm_learning(task: str) -> Any:
    from symm_learning.models.emlp import eMLP

    rep = _finite_group(task).regular_representation
    return eMLP(rep, rep, [REGULAR[task] * rep.size] * LAYERS)


def main() -> None:
    """The table of the networks in PyTorch, or its rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=list(SIZES), metavar="TASK")
    parser.add_argument("--batch", nargs="+", type=int, default=(1, 64, 500, 4096))
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    arguments = parser.parse_args()
    if unknown := [task for task in arguments.tasks if task not in SIZES]:
        parser.error(f"no such task: {', '.join(unknown)}; there are {', '.join(SIZES)}")
    for library, reason in missing().items():
        print(f"{library} is left out: {reason}", file=sys.stderr)
    if not arguments.json:
        print(f"{machine()}\n{HEAD}")
    for task, batch in itertools.product(arguments.tasks, arguments.batch):
        rng = np.random.default_rng(0)
        x, y = (rng.standard_normal((batch, n)).astype(np.float32) for n in SIZES[task])
        for row in measured(task, batch, arguments.rounds, torch_runners(task, x, y)):
            print(json.dumps(asdict(row)) if arguments.json else line(row), flush=True)


if __name__ == "__main__":
    main()
