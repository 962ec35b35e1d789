"""Operators and reps under torch.compile and torch.export.

Programs run in processes of their own: torch.compile follows Python code, and cannot follow the
checks of annotations that tests add to the library.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.support import run_python

pytest.importorskip("torch")

_COMMON = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import torch
from helpers.example_bases import BASES, basis_of, orthonormal
from intertwine.bases import Dense
from intertwine.groups import SL, SO, SU
from intertwine.irreps import Irrep
from intertwine.operators import Permutation
from intertwine.reps import Conj, Schur, Scalar, Sym, V

def compiled(function, fullgraph=True, backend="eager"):
    return torch.compile(function, fullgraph=fullgraph, backend=backend)

def error(found, expected):
    return float((found - expected).abs().max())

def normal(*shape):
    return torch.tensor(np.random.default_rng(1).standard_normal(shape))

errors = {}
"""


def largest_error(program: str, count: int) -> float:
    """Run a program that fills `errors` with so many, and return the largest."""
    whole = f"{_COMMON}\n{program}\nanswer(errors)\n"
    finished = run_python(whole, str(Path(__file__).parent))
    assert finished.status == 0, finished.stderr
    assert len(finished.value) == count
    return max(finished.value.values())


def test_bases_are_compiled_by_pytorch_in_one_program() -> None:
    program = """
for name in ("sparse, in a complex frame", "patterns", "intertwiners", "nested"):
    basis = BASES[name]
    w, v = normal(basis.shape[1]), normal(basis.shape[0])
    def actions(w, v):
        return torch.matmul(basis, w), basis.project(v), basis.T.applied_to(v)
    torch._dynamo.reset()
    for k, (found, expected) in enumerate(zip(compiled(actions)(w, v), actions(w, v))):
        errors[f"{name} {k}"] = error(found, expected)
"""
    assert largest_error(program, 12) < 1e-13


def test_gradients_and_vmap_of_a_basis_are_compiled_by_pytorch() -> None:
    program = """
basis = BASES["nested"]
def energy(v):
    return basis.project(v).square().sum() / 2
v = normal(len(basis)).requires_grad_()
compiled(energy, backend="aot_eager")(v).backward()
errors["backward"] = error(v.grad, basis.project(v.detach()))
every = torch.func.vmap(torch.func.grad(energy))
batch = normal(3, len(basis))
errors["vmap of grad"] = error(compiled(every, backend="aot_eager")(batch), every(batch))

class Module(torch.nn.Module):
    def forward(self, v):
        return basis.project(v)

program = torch.export.export(Module(), (v.detach(),))
errors["export"] = error(program.module()(v.detach()), basis.project(v.detach()))
"""
    assert largest_error(program, 3) < 1e-12


def test_a_program_of_pytorch_is_for_one_basis() -> None:
    program = """
function = compiled(lambda basis, w: torch.matmul(basis, w))
bases = [basis_of(Dense(orthonormal(4, 2, seed=seed))) for seed in (1, 2)]
w = normal(2)
for turn in (1, 2):
    for k, basis in enumerate(bases):
        errors[f"{turn} {k}"] = error(function(basis, w), torch.as_tensor(basis) @ w)
"""
    assert largest_error(program, 4) < 1e-13


def test_products_by_an_operator_are_left_to_python_by_pytorch() -> None:
    program = """
square, turn = basis_of(Dense(orthonormal(4, 4))), Permutation([1, 2, 3, 0])
x = normal(4, 4)
for name, function in {
    "left": lambda x: square @ (2 * x),
    "right": lambda x: (2 * x) @ square,
    "a permutation": lambda x: turn @ (x @ x),
    "both": lambda x: square.T @ (x + x) @ square,
}.items():
    errors[name] = error(compiled(function, fullgraph=False)(x), function(x))
"""
    assert largest_error(program, 4) < 1e-13


def test_images_are_compiled_by_pytorch_in_one_program() -> None:
    program = """
for rep in (
    (V.T * V + 2 * V + Scalar + Schur((2, 1), V))(SL(2)),
    (Irrep("j=1/2") * Conj(V) + Sym(2, V))(SU(2)),
):
    g, A = torch.as_tensor(rep.G.sample()), torch.as_tensor(sum(rep.G.lie_generators))
    x = torch.ones(rep.size(), dtype=g.dtype)
    for name, function, given in (
        ("rho_dense", rep.rho_dense, g),
        ("drho_dense", rep.drho_dense, A),
        ("rho", lambda g, rep=rep: rep.rho(g) @ x, g),
        ("drho", lambda A, rep=rep: rep.drho(A) @ x, A),
    ):
        errors[f"{name} of {rep}"] = error(compiled(function)(given), function(given))
"""
    assert largest_error(program, 8) < 1e-12
