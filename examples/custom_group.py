"""A group of one's own: the symmetry of a quartz crystal, from its generators to a network.

Strain and an electric field polarise quartz: V²+V → V under its point group 32, which three-fold
turns about z and two-fold turns about x generate. The group is written down, its maps are counted
(crystallography knows two piezoelectric constants), networks learn the polarisation from made-up
measurements, and the equivariant one is saved and loaded again.

    python examples/custom_group.py
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import equinox as eqx
import jax
import numpy as np
from intertwine.groups import Group
from intertwine.nn import EMLP, MLP, load, save
from intertwine.reps import Rep, V, sparsify_basis
from intertwine.training import evaluate, fit, model_equivariance_error

STRAIN, FIELD, POLARISATION = V**2, V, V
# part of the function that a network is at the start survives between the training points
NETWORKS = (
    ("MLP", MLP, False),
    ("MLP, augmented", MLP, True),
    ("EMLP", partial(EMLP, gain=0.1), False),
)


class Quartz(Group):
    """The point group 32 of α-quartz: turns by 120° about z and by 180° about x."""

    def __init__(self) -> None:
        c, s = -1 / 2, np.sqrt(3) / 2
        self.discrete_generators = [[[c, -s, 0], [s, c, 0], [0, 0, 1]], np.diag([1, -1, -1])]
        super().__init__()


@dataclass(frozen=True)
class Measurements:
    """What `fit` asks of data: X, Y, their reps, and the group."""

    X: np.ndarray  # (n, 12)
    Y: np.ndarray  # (n, 3)
    rep_in: Rep = STRAIN + FIELD
    rep_out: Rep = POLARISATION
    symmetry: Group = field(default_factory=Quartz)

    @classmethod
    def made_up(cls, n: int, seed: int) -> Measurements:
        """n random strains (symmetric matrices) and fields, and the polarisation of each."""
        rng = np.random.default_rng(seed)
        strain, electric = rng.standard_normal((n, 3, 3)), rng.standard_normal((n, 3))
        strain = (strain + strain.transpose(0, 2, 1)) / 2
        X = np.concatenate([strain.reshape(n, 9), electric], axis=1)
        return cls(X.astype(np.float32), polarisation(strain, electric).astype(np.float32))


def polarisation(strain: np.ndarray, electric: np.ndarray) -> np.ndarray:
    """The polarisations (n, 3) of strains (n, 3, 3) under fields (n, 3).

    Piezoelectricity with quartz's two constants (e₁₄/e₁₁ = −0.24), the field's own effect and the
    one it has under strain, and saturation: invented but for the first.
    """
    (xx, xy, xz), (_, yy, yz) = strain[:, 0].T, strain[:, 1].T
    e11, e14 = 1.0, -0.24
    piezo = [e11 * (xx - yy) + 2 * e14 * yz, -2 * e11 * xy - 2 * e14 * xz, 0 * xx]
    whole = np.stack(piezo, axis=1) + electric + 0.5 * np.einsum("nij,nj->ni", strain, electric)
    return whole / np.sqrt(1 + 0.1 * np.sum(whole**2, axis=1, keepdims=True))


def main() -> None:
    """Solve, train, save, load, compare."""
    parser = argparse.ArgumentParser(
        description="Learn how a quartz crystal is polarised, under its own symmetry group.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--epochs", type=int, default=300, help="passes over the training data")
    parser.add_argument("--examples", type=int, default=500, help="how much data there is")
    parser.add_argument("--folder", type=Path, help="where to keep the model (default: nowhere)")
    options = parser.parse_args()

    show_maps(Quartz())
    train = Measurements.made_up(options.examples, seed=0)
    test = Measurements.made_up(2000, seed=1)
    model = compare(train, test, options.epochs)
    if options.folder:
        save_and_load(model, test, options.folder)
    else:
        with TemporaryDirectory() as folder:
            save_and_load(model, test, Path(folder))


def show_maps(G: Group) -> None:
    """The linear maps from strain to polarisation, as formulas."""
    Q = (STRAIN >> POLARISATION)(G).equivariant_basis()
    print(f"{Q.rank} linear maps lead from strain to polarisation:")
    entries = [a + b for a in "xyz" for b in "xyz"]
    for column in sparsify_basis(Q).T:
        rows = zip("xyz", column.reshape(3, 9), strict=True)
        print("  " + ", ".join(f"P{axis} = {formula(row, entries)}" for axis, row in rows))
    maps = np.asarray(Q).reshape(3, 3, 3, -1)
    constants = np.linalg.matrix_rank((maps + maps.transpose(0, 2, 1, 3)).reshape(27, -1))
    print(f"Strain is symmetric, which leaves {constants} piezoelectric constants.")


def formula(row: np.ndarray, names: list[str]) -> str:
    """A sum of ±names; the coefficients of these maps are 0, 1 and −1."""
    terms = [f"{'+' if c > 0 else '−'} {name}" for c, name in zip(row, names, strict=True) if c]
    return " ".join(terms).removeprefix("+ ") or "0"


def compare(train: Measurements, test: Measurements, epochs: int) -> Any:
    """Train three networks, print a table, and return the equivariant one."""
    print(f"\n{'network':14}  parameters  test error  equivariance error  seconds")
    for name, network, augment in NETWORKS:
        started = time.perf_counter()
        model = network(train.rep_in, train.rep_out, train.symmetry, ch=160, num_layers=2)
        trained = fit(
            model, train, epochs=epochs, batch_size=100, schedule="cosine", augment=augment
        ).model
        seconds = time.perf_counter() - started
        print(
            f"{name:14}  {count_parameters(trained):10,}  {evaluate(trained, test):10.2e}"
            f"  {model_equivariance_error(trained, test):18.1e}  {seconds:7.1f}"
        )
    return trained


def count_parameters(model: Any) -> int:
    """How many numbers are trained."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))


def save_and_load(model: Any, test: Measurements, folder: Path) -> None:
    """A model in files gives the same outputs again."""
    save(model, folder)
    again = load(folder)
    files = ", ".join(sorted(path.name for path in folder.iterdir()))
    print(f"\nSaved as {files}")
    print(f"Loaded again: outputs differ by {np.abs(again(test.X) - model(test.X)).max():.1e}")


if __name__ == "__main__":
    main()
