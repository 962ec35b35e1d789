"""Reps of elements that are tensors of PyTorch, with gradients and under its transformations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from intertwine.errors import MethodNotApplicable
from intertwine.groups import SL, SO, SU, Group, O, S, SO13p
from intertwine.irreps import Irrep
from intertwine.reps import Alt, Conj, Det, Rep, Scalar, Schur, Sign, Sub, Sym, V, parse
from intertwine.reps.generator_rep import GeneratorRep

torch = pytest.importorskip("torch")
# PyTorch itself warns about a function that it uses for forward derivatives
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")


class Twice(Rep):
    """V ⊗ V of a user, in a library that has the tensors' operators."""

    def __init__(self, G: Group | None = None) -> None:
        self.G = G

    def rho(self, M: Any) -> Any:
        """Return g ⊗ g."""
        n = len(M)
        return (M[:, None, :, None] * M[None, :, None, :]).reshape(n * n, n * n)


class OfNumPy(Twice):
    """The same, in NumPy."""

    def rho(self, M: Any) -> Any:
        """Return g ⊗ g."""
        return np.kron(np.asarray(M), np.asarray(M))


def traceless() -> Rep:
    """The traceless part of V ⊗ V."""
    trace = np.eye(3).reshape(9, 1)
    return Sub((V**2)(SO(3)), np.eye(9) - trace @ trace.T / 3)


REPS: dict[str, Rep] = {
    "V": V(SO13p()),
    "a dual": V(SL(3)).T,
    "a scalar": Scalar(SO(3)),
    "a sum of products": (V.T * V + 2 * V + Scalar)(SL(2)),
    "powers": (Sym(3, V) + Alt(2, V.T) + Det(V))(SL(2)),
    "minors": Alt(3, V)(SO13p()),
    "tensors with a symmetry": Schur((2, 1), V)(SO(3)),
    "a sign": (Sign * V)(O(3)),
    "an irrep": (Irrep("l=2") * V)(SO(3)),
    "a complex irrep": (Irrep("j=1/2") * Conj(V))(SU(2)),
    "a subspace": traceless(),
    "a user's": Twice(SO(3)) + V(SO(3)),
    "of permutations": (V**2 + V)(S(3)),
}
each = pytest.mark.parametrize("rep", REPS.values(), ids=REPS.keys())


def element(rep: Rep, seed: int = 0) -> Any:
    """A random element of the group, as a matrix."""
    group = next(iter(vars(rep).get("_groups", ())), None) or rep.G or SO(3)
    np.random.seed(seed)
    return np.asarray(group.sample())


def lie_element(rep: Rep) -> Any:
    """An element of the Lie algebra, or None."""
    group = rep.G or SO(3)
    terms = [(k + 1.5) * np.asarray(A) for k, A in enumerate(group.lie_generators)]
    return sum(terms) if terms else None


def close(left: Any, right: Any, tolerance: float = 1e-13) -> None:
    """A tensor on the left, with the entries of the right."""
    assert isinstance(left, torch.Tensor)
    scale = max(1.0, float(np.abs(right).max(initial=0.0)))
    np.testing.assert_allclose(left.detach().numpy(), right, atol=tolerance * scale, rtol=0)


@each
def test_the_image_of_a_tensor_of_pytorch(rep: Rep) -> None:
    g, A = element(rep), lie_element(rep)
    x = np.random.default_rng(0).standard_normal((rep.size(), 2))
    actions = [(rep.rho, rep.rho_dense, g)]
    if A is not None:
        actions.append((rep.drho, rep.drho_dense, A))
    for lazy, written_out, given in actions:
        expected = written_out(given)
        close(written_out(torch.tensor(given)), expected, 1e-11)
        image = lazy(torch.tensor(given))
        if isinstance(image, torch.Tensor):
            close(image, expected, 1e-11)
        else:
            close(image @ torch.tensor(x), expected @ x, 1e-11)
            close(torch.as_tensor(image), expected, 1e-11)
    single = torch.tensor(g).to(torch.complex64 if np.iscomplexobj(g) else torch.float32)
    assert rep.rho_dense(single).dtype in (torch.float32, torch.complex64)


@each
def test_gradients_through_an_element_of_pytorch(rep: Rep) -> None:
    g = torch.tensor(element(rep), requires_grad=True)
    if rep.rho_dense(g).requires_grad:  # scalars and signs are constant
        assert torch.autograd.gradcheck(rep.rho_dense, g)
    A = lie_element(rep)
    if A is not None:
        dense = rep.drho_dense(A)
        close(rep.drho_dense(torch.tensor(A)), dense, 1e-11)
        if not np.iscomplexobj(A):
            curve = torch.func.jacfwd(
                lambda t: rep.rho_dense(torch.linalg.matrix_exp(t * torch.tensor(A)))
            )
            close(curve(torch.zeros((), dtype=torch.float64)), dense, 1e-10)


def test_the_gradient_of_pytorch_is_that_of_jax() -> None:
    jax = pytest.importorskip("jax")
    rep = (V.T + Sym(2, V))(SL(2))
    g, x = element(rep), np.random.default_rng(0).standard_normal(rep.size())

    def energy(g: Any, x: Any) -> Any:
        return ((rep.rho(g) @ x) ** 3).sum()

    with jax.enable_x64(True):
        expected = jax.grad(energy, argnums=(0, 1))(jax.numpy.asarray(g), jax.numpy.asarray(x))
    found = torch.func.grad(energy, argnums=(0, 1))(torch.tensor(g), torch.tensor(x))
    for left, right in zip(found, expected, strict=True):
        close(left, np.asarray(right), 1e-12)


@each
def test_images_under_vmap_of_pytorch(rep: Rep) -> None:
    batch = np.stack([element(rep, seed) for seed in range(3)])
    expected = np.stack([rep.rho_dense(g) for g in batch])
    close(torch.func.vmap(rep.rho_dense)(torch.tensor(batch)), expected, 1e-11)
    x = np.random.default_rng(0).standard_normal((3, rep.size())).astype(expected.dtype)
    moved = torch.func.vmap(lambda g, x: rep.rho(g) @ x)(torch.tensor(batch), torch.tensor(x))
    close(moved, np.einsum("bij,bj->bi", expected, x), 1e-11)


def test_elements_of_several_groups_in_pytorch() -> None:
    rep = V(SO(3)) * V(S(3)) + Scalar
    elements = {group: np.asarray(group.sample()) for group in (SO(3), S(3))}
    tensors = {group: torch.tensor(g).double() for group, g in elements.items()}
    close(rep.rho_dense(tensors), rep.rho_dense(elements))
    close(rep.rho(tensors) @ torch.ones(10).double(), rep.rho(elements) @ np.ones(10))


def test_a_users_rep_in_numpy_takes_tensors_of_pytorch_without_gradients() -> None:
    rep, g = OfNumPy(SO(3)), element(OfNumPy(SO(3)))
    close(rep.rho_dense(torch.tensor(g)), np.kron(g, g))
    A = lie_element(rep)
    close(rep.drho_dense(torch.tensor(A)), rep.drho_dense(A), 1e-10)
    with pytest.raises(RuntimeError, match="requires grad"):
        rep.rho_dense(torch.tensor(g, requires_grad=True))
    with pytest.raises(RuntimeError):
        rep.drho_dense(torch.tensor(A, requires_grad=True))


def test_a_rep_by_generators_takes_tensors_of_pytorch_with_known_numbers() -> None:
    group = S(3)
    images = [np.asarray(h) for h in group.group_generators]
    rep = Rep.from_generators(group, images)
    assert isinstance(rep, GeneratorRep)
    found = rep.rho_dense(torch.tensor(images[0]))
    close(found, images[0])
    found.zero_()  # the rep keeps its own
    close(rep.rho_dense(torch.tensor(images[0])), images[0])
    message = "which torch.compile, gradients and vmap hide"
    with pytest.raises(MethodNotApplicable, match=message):
        rep.rho_dense(torch.tensor(images[0], dtype=torch.float64, requires_grad=True))
    with pytest.raises(MethodNotApplicable, match=message):
        torch.func.vmap(rep.rho_dense)(torch.tensor(np.stack(images)))


def test_names_of_pytorch_texts() -> None:
    rep = parse("V*V+Sym(2,V)", {})(SO(3))
    g = element(rep)
    close(rep.rho_dense(torch.tensor(g)), rep.rho_dense(g))
