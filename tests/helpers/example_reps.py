"""Rep expressions for tests: trees that can be built, written as text, and evaluated.

A tree is a nested tuple. `build` makes the library's value of it by Python's operators, `write`
the text for the parser, and `matrix` what ρ(g) is by definition: `kron`, `block_diag` and `inv` of
NumPy and SciPy, and nothing of the library.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st
from intertwine.groups import Group, parse_group
from intertwine.reps import Rep, Scalar, V
from scipy.linalg import block_diag

Tree = tuple[Any, ...]
Matrix = np.ndarray[Any, Any]

#: V without a group, and the scalar.
ABSTRACT: tuple[Tree, ...] = (("V", None), ("V", None), ("scalar",))
#: Groups, orthogonal and not, continuous and discrete, with the size of their V.
SIZES = {"SO(2)": 2, "Z(2)": 2, "S(3)": 3, "SO11p()": 2, "SL(2)": 2}
#: V over each of them, and the scalar.
MIXED: tuple[Tree, ...] = (*(("V", name) for name in SIZES), ("scalar",))


@cache
def group_named(name: str) -> Group:
    """The group, made once."""
    return parse_group(name)


def trees(
    leaves: tuple[Tree, ...] = ABSTRACT, *, largest: int = 60, d: int = 2
) -> st.SearchStrategy[Tree]:
    """Expressions over these leaves, of size at most `largest` where V has size d."""

    def extend(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        few = st.integers(0, 3)
        return st.one_of(
            st.tuples(st.sampled_from(["+", "*", ">>", "<<"]), inner, inner),
            st.tuples(st.sampled_from(["k*", "k+", "k>>", "k<<"]), few, inner),
            st.tuples(st.sampled_from(["*k", "+k", ">>k", "<<k", "**"]), inner, few),
            st.tuples(st.just("T"), inner),
        )

    every = st.recursive(st.sampled_from(leaves), extend, max_leaves=6)
    return every.filter(lambda tree: size(tree, d) <= largest)


def size(tree: Tree, d: int = 2) -> int:
    """The size that the expression should have, where V without a group has size d."""
    match tree:
        case ("V", name):
            return d if name is None else SIZES[name]
        case ("scalar",):
            return 1
        case ("T", a):
            return size(a, d)
        case ("**", a, int(k)):
            return size(a, d) ** k
        case (operator, int(k), a) | (operator, a, int(k)):
            return size(a, d) + k if "+" in operator else size(a, d) * k
        case ("+", a, b):
            return size(a, d) + size(b, d)
        case (_, a, b):
            return size(a, d) * size(b, d)
    raise AssertionError(tree)


def build(tree: Tree) -> Rep:
    """The rep, by Python's operators."""
    match tree:
        case ("V", None):
            return V
        case ("V", name):
            return V(group_named(name))
        case ("scalar",):
            return Scalar
        case ("T", a):
            return build(a).T
        case ("**", a, int(k)):
            return build(a) ** k
        case (_, left, right):
            a = left if isinstance(left, int) else build(left)
            b = right if isinstance(right, int) else build(right)
            match tree[0].strip("k"):
                case "+":
                    return a + b
                case "*":
                    return a * b
                case ">>":
                    return a >> b
                case "<<":
                    return a << b
    raise AssertionError(tree)


def write(tree: Tree) -> str:
    """The expression as text, every part in parentheses."""
    match tree:
        case ("V", None):
            return "V"
        case ("V", name):
            return f"V({name})"
        case ("scalar",):
            return "Scalar"
        case ("T", a):
            return f"({write(a)}).T"
        case ("**", a, int(k)):
            return f"({write(a)})**{k}"
        case (operator, left, right):
            a = str(left) if isinstance(left, int) else f"({write(left)})"
            b = str(right) if isinstance(right, int) else f"({write(right)})"
            return f"{a}{operator.strip('k')}{b}"
    raise AssertionError(tree)


def matrix(tree: Tree, elements: Mapping[str | None, Matrix]) -> Matrix:
    """ρ(g) by definition, for a group element by the name of its group (None: of the bare V)."""
    match tree:
        case ("V", name):
            return elements[name]
        case ("scalar",):
            return np.eye(1)
        case ("T", a):
            return np.linalg.inv(matrix(a, elements)).T
        case ("**", a, int(k)):
            return _kron(*[matrix(a, elements)] * k)
        case ("k*", int(k), a) | ("*k", a, int(k)):
            return np.kron(np.eye(k), matrix(a, elements))
        case (operator, left, right):
            a = _number(left, elements)
            b = _number(right, elements)
            match operator.strip("k"):
                case "+":
                    return block_diag(a, b)
                case "*":
                    return _kron(a, b)
                case ">>":
                    return _kron(b, np.linalg.inv(a).T)
                case "<<":
                    return _kron(a, np.linalg.inv(b).T)
    raise AssertionError(tree)


def _number(operand: Any, elements: Mapping[str | None, Matrix]) -> Matrix:
    return np.eye(operand) if isinstance(operand, int) else matrix(operand, elements)


def _kron(*matrices: Matrix) -> Matrix:
    result = np.eye(1)
    for factor in matrices:
        result = np.kron(result, factor)
    return result


def shuffled(tree: Tree, flips: list[bool]) -> Tree:
    """The same expression with the operands of some sums and products exchanged."""
    match tree:
        case ("+" | "*" as operator, a, b):
            left, right = shuffled(a, flips), shuffled(b, flips)
            flip = flips.pop() if flips else False
            return (operator, right, left) if flip else (operator, left, right)
        case ("T", a):
            return ("T", shuffled(a, flips))
        case (operator, int(k), a):
            return (operator, k, shuffled(a, flips))
        case (operator, a, int(k)):
            return (operator, shuffled(a, flips), k)
        case (operator, tuple(a), tuple(b)):
            return (operator, shuffled(a, flips), shuffled(b, flips))
    return tree
