"""Equivariance errors by precision: ‖f(ρ(g)x) − ρ(g)f(x)‖ / ‖f(x)‖ of freshly made networks.

Each number is the median over seeds, of the weights, the vectors x and the elements g. Vectors are
given in float32, and in float64 to networks in float64. "autocast" is a network in float32 under
torch.autocast to bfloat16. Elements of the Lorentz group are those of `Group.samples`.

    python benchmarks/precision.py                  # the frameworks that are installed
    python benchmarks/precision.py --framework torch --seeds 9
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
from intertwine.groups import SO, Group, O, parse_group
from intertwine.reps import Rep, Scalar, V

TASKS: dict[str, tuple[Rep, Rep, Group]] = {
    "Inertia SO(3)": (5 * Scalar + 5 * V, V**2, SO(3)),
    "O5Synthetic": (2 * V, Scalar, O(5)),
    "ParticleInteraction": (4 * V, Scalar, parse_group("SO13p")),
}
WIDTH, VECTORS = 64, 64
Case = tuple[Rep, Rep, Group]
NETWORKS: dict[str, Callable[..., Any]] = {
    "Linear": lambda kit, case, **o: kit.Linear(*hidden(kit, case), **o),
    "BiLinear": lambda kit, case, **o: kit.BiLinear(*hidden(kit, case), **o),
    "EMLP": lambda kit, case, **o: kit.EMLP(*case, ch=WIDTH, **o),
    "EMLP, paper": lambda kit, case, **o: kit.EMLP(*case, ch=WIDTH, bilinear="paper", **o),
}
PRECISIONS = ("bfloat16", "float16", "float32", "float64")
Images = Callable[[Any, np.ndarray], np.ndarray]


def hidden(kit: Any, case: Case) -> tuple[Rep, Rep, Group]:
    """The reps of a hidden layer."""
    group = case[2]
    rep = kit.uniform_rep(WIDTH, group)
    return rep, rep, group


def error(model: Any, images: Images, group: Group, seed: int) -> float:
    """The equivariance error for one element of the group."""
    x = np.random.default_rng(seed).standard_normal((VECTORS, model.rep_in.size()))
    [g] = group.samples(1, seed)
    before, behind = (np.asarray(rep.rho_dense(g)) for rep in (model.rep_in, model.rep_out))
    y = images(model, x)
    rest = np.linalg.norm(images(model, x @ before.T) - y @ behind.T)
    return float(rest / np.linalg.norm(y))


def in_jax(make: Callable[..., Any], case: Case, precision: str, seeds: int) -> list[float]:
    """The errors of layers of `intertwine.nn`."""
    import jax
    from intertwine import nn

    wide = np.float64 if precision == "float64" else np.float32
    with jax.enable_x64(precision == "float64"):

        def images(model: Any, x: np.ndarray) -> np.ndarray:
            return np.asarray(model(x.astype(wide))).astype(np.float64)

        models = [make(nn, case, key=seed, dtype=precision) for seed in range(seeds)]
        return [error(model, images, case[2], seed) for seed, model in enumerate(models)]


def in_torch(make: Callable[..., Any], case: Case, precision: str, seeds: int) -> list[float]:
    """The errors of modules of `intertwine.torch`."""
    import intertwine.torch
    import torch

    is_autocast = precision == "autocast"
    kind = torch.float32 if is_autocast else getattr(torch, precision)
    wide = torch.float64 if precision == "float64" else torch.float32

    def images(model: Any, x: np.ndarray) -> np.ndarray:
        context = torch.autocast("cpu", torch.bfloat16) if is_autocast else nullcontext()
        with torch.no_grad(), context:
            found: np.ndarray = model(torch.from_numpy(x).to(wide)).double().numpy()
        return found

    models = [make(intertwine.torch, case, key=seed, dtype=kind) for seed in range(seeds)]
    return [error(model, images, case[2], seed) for seed, model in enumerate(models)]


FRAMEWORKS = {
    "jax": ("JAX", in_jax, PRECISIONS),
    "torch": ("PyTorch", in_torch, ("bfloat16", "autocast", *PRECISIONS[1:])),
}


def main() -> None:
    """The table, as Markdown."""
    installed = [name for name in FRAMEWORKS if importlib.util.find_spec(name)]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--framework", choices=installed, action="append")
    parser.add_argument("--task", choices=TASKS, action="append")
    parser.add_argument("--network", choices=NETWORKS, action="append")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    columns = FRAMEWORKS["torch"][2]
    print(f"| task | network | framework | {' | '.join(columns)} |")
    print("|---" * (3 + len(columns)) + "|")
    for task in arguments.task or TASKS:
        for network in arguments.network or NETWORKS:
            make = NETWORKS[network]
            for name in arguments.framework or installed:
                called, measure, precisions = FRAMEWORKS[name]
                found = {
                    each: np.median(measure(make, TASKS[task], each, arguments.seeds))
                    for each in precisions
                }
                cells = [f"{found[each]:.1e}" if each in found else "–" for each in columns]
                print(f"| {task} | {network} | {called} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
