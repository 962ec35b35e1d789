"""Which scheme names the irreps of a group: by its generators, elements, factors or root system."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from jaxtyping import Bool, Num

from intertwine.errors import InvalidGroup, MethodNotApplicable, TooLarge
from intertwine.groups import CATALOGUE
from intertwine.groups.conjugacy import MAX_ORDER
from intertwine.groups.enumeration import enumerate_elements
from intertwine.groups.group import Group
from intertwine.groups.product import DirectProduct
from intertwine.irreps.character_tables import character_table
from intertwine.irreps.element_images import IrrepImages, PartImages
from intertwine.irreps.names.dynkin_labels import DynkinLabels
from intertwine.irreps.names.finite_names import Charges, Letters, Partitions, order_of_element
from intertwine.irreps.names.highest_weights import (
    LinearMaps,
    Lorentz,
    Rotations,
    RotationsAndReflections,
    Symplectic,
)
from intertwine.irreps.names.mulliken_symbols import MullikenSymbols
from intertwine.irreps.names.products import Factor, Products
from intertwine.irreps.names.pseudo_rotations import (
    BoostsWithReflections,
    LorentzWithReflections,
    PseudoRotations,
)
from intertwine.irreps.names.scheme import Scheme
from intertwine.irreps.names.spin_rotations import SpinRotations
from intertwine.irreps.reductivity import verdict_of
from intertwine.irreps.root_systems import RootSystem, root_system
from intertwine.operators import dense

_LARGEST_GROUP = 32
"""The largest V for which a Lie group or symmetric group is recognised."""
_LETTERED_ORDER = 1_000
"""The largest order of a group whose irreps are named by letters or by Mulliken symbols."""
_SAME = 1e-9

_Matrix = Num[np.ndarray, "_ _"]


def leaves_of(group: Group) -> tuple[Group, ...]:
    """Return the factors of a direct product; empty for other groups."""
    unnumbered = group.unnumbered
    return unnumbered.leaves if isinstance(unnumbered, DirectProduct) else ()


def scheme_of(group: Group) -> Scheme | None:
    """Return the scheme that names a group's irreps; None if there is none.

    A classical group is recognised by its generators, or by its Lie algebra, a point group by its
    elements, and a product with a Lie algebra by its factors. Other connected reductive groups have
    Dynkin labels. A scheme of a group with a Lie algebra is one for its straight form.
    """
    return _scheme_of(group, leaves_of(group))


@lru_cache(64)
def _scheme_of(group: Group, leaves: tuple[Group, ...]) -> Scheme | None:
    # groups with equal generators are equal, also if only one is given as a product
    return _lie_scheme(group, leaves) if group.lie_generators else _finite_scheme(group)


def _finite_scheme(group: Group) -> Scheme | None:
    if 3 <= group.d <= _LARGEST_GROUP and _is_member(group, "S", group.d):
        return Partitions(group.d)
    if not group.group_generators:
        return MullikenSymbols([np.eye(3)])
    generators = [np.asarray(dense(h)) for h in group.group_generators]
    is_spatial = group.d in (2, 3) and group.is_orthogonal and not group.is_permutation
    found = enumerate_elements(group)
    if found is None or found.order > MAX_ORDER:
        return None
    is_small = found.order <= _LETTERED_ORDER
    if is_spatial and is_small and (len(generators) > 1 or group.d == 3):
        return MullikenSymbols(list(found.elements))
    if all(np.abs(a @ b - b @ a).max() <= 1e-9 for a in generators for b in generators):
        orders = [order_of_element(h, MAX_ORDER) for h in generators]
        known = [order for order in orders if order is not None]
        return Charges(known) if len(known) == len(orders) else None
    return Letters(character_table(group)) if is_small else None


def _lie_scheme(group: Group, leaves: tuple[Group, ...]) -> Scheme | None:
    straight = _straight(group)
    found = _catalogued(straight)
    if found is None and leaves:
        found = _product_scheme(group, leaves)
    if found is None:
        found = _embedded_scheme(straight)
    return _scheme_of_algebra(group) if found is None else found


def _straight(group: Group) -> Group:
    return verdict_of(group).straight or group


def _catalogued(group: Group) -> Scheme | None:
    """Return the scheme of a group with the generators of one of the catalogue."""
    d = group.d
    if d > _LARGEST_GROUP:
        return None
    families: list[tuple[str, tuple[int, ...], Callable[[], Scheme]]] = [
        ("SO", (d,), lambda: Rotations(d)),
        ("O", (d,), lambda: RotationsAndReflections(d)),
        ("SU", (d,), lambda: LinearMaps(d, is_special=True, is_unitary=True)),
        ("U", (d,), lambda: LinearMaps(d, is_special=False, is_unitary=True)),
        ("SL", (d,), lambda: LinearMaps(d, is_special=True, is_unitary=False)),
        ("GL", (d,), lambda: LinearMaps(d, is_special=False, is_unitary=False)),
        ("Sp", (d // 2,), lambda: Symplectic(d // 2)),
        ("SO13p", (), Lorentz),
        ("SO13", (), lambda: LorentzWithReflections(has_reversal=False)),
        ("O13", (), lambda: LorentzWithReflections(has_reversal=True)),
        ("O11", (), BoostsWithReflections),
    ]
    families += [("SO", (p, d - p), partial(PseudoRotations, p, d - p)) for p in range(1, d)]
    families += [("Spin", (n,), partial(SpinRotations, n)) for n in range(2, 12)]
    for name, arguments, scheme in families:
        if (name not in ("SO", "O") or d > 1) and _is_member(group, name, *arguments):
            return scheme()
    return None


#: The number of Lie and discrete generators of the catalogue's groups on d dimensions.
_COUNTS: dict[str, Callable[[int], tuple[int, int]]] = {
    "SO": lambda d: (d * (d - 1) // 2, 0),
    "O": lambda d: (d * (d - 1) // 2, 1),
    "SU": lambda d: (d * d - 1, 0),
    "U": lambda d: (d * d, 0),
    "SL": lambda d: (d * d - 1, 0),
    "GL": lambda d: (d * d, 0),
    "Sp": lambda d: (d // 2 * (d + 1), 0),
    "SO13p": lambda d: (6, 0),
    "SO13": lambda d: (6, 1),
    "O13": lambda d: (6, 2),
    "O11": lambda d: (1, 2),
    "S": lambda d: (0, d - 1),
}


def _is_member(group: Group, name: str, *arguments: int) -> bool:
    """Return whether a group has the generators of one of the catalogue."""
    if name == "Spin":
        (n,) = arguments
        if group.d != 2 ** (n // 2):
            return False
        counts = n * (n - 1) // 2, 0
    else:
        counts = _COUNTS[name](group.d)
    if len(arguments) == 2:
        counts = counts[0], 1
    if (len(group.lie_generators), len(group.group_generators)) != counts:
        return False
    try:
        member = CATALOGUE[name](*arguments)
    except (InvalidGroup, TooLarge):
        return False
    return member.content_digest == group.content_digest


def _product_scheme(group: Group, leaves: tuple[Group, ...]) -> Scheme | None:
    """Return the scheme of a product whose factors all have one."""
    schemes = [scheme_of(leaf) for leaf in leaves]
    known = [scheme for scheme in schemes if scheme is not None]
    if len(known) < len(leaves):
        return None
    sizes = [leaf.d for leaf in leaves]
    whole = verdict_of(group).frame
    factors = []
    for k, (leaf, scheme) in enumerate(zip(leaves, known, strict=True)):
        own = verdict_of(leaf).frame if leaf.lie_generators else None
        straight = leaf if own is None else _straight(leaf)
        before, after = np.eye(int(np.prod(sizes[:k]))), np.eye(int(np.prod(sizes[k + 1 :])))

        def lift(
            matrix: _Matrix,
            lie: bool,
            own: _Matrix | None = own,
            before: _Matrix = before,
            after: _Matrix = after,
        ) -> _Matrix:
            given = matrix if own is None else own @ matrix @ np.linalg.inv(own)
            lifted = np.kron(np.kron(before, given), after)
            return lifted if whole is None else np.linalg.solve(whole, lifted @ whole)

        lie = [np.asarray(dense(a)) for a in straight.lie_generators]
        elements = [np.asarray(dense(h)) for h in straight.group_generators]
        factors.append(Factor(scheme, lie, elements, lift))
    return Products(factors)


class _Embedded:
    """The scheme of a group that acts on some coordinates, and trivially on the others."""

    def __init__(self, inner: Scheme, group: Group, moving: Bool[np.ndarray, " d"]) -> None:
        self._inner, self._group, self._moving = inner, group, moving
        self.example = inner.example
        self.read, self.step = inner.read, inner.step

    def name(self, images: IrrepImages) -> str | None:
        """Return the name of an irrep."""
        places = np.ix_(self._moving, self._moving)

        def lift(matrix: _Matrix, lie: bool) -> _Matrix:
            whole = np.diag(np.where(self._moving | lie, 0.0, 1.0)).astype(matrix.dtype)
            whole[places] = matrix
            return whole

        elements = [np.asarray(dense(h)) for h in self._group.group_generators]
        return self._inner.name(PartImages(images, lift, elements))


def _embedded_scheme(group: Group) -> Scheme | None:
    """Return the scheme of a group that fixes some unit vectors and the span of the others."""
    lie = [np.asarray(dense(a)) for a in group.lie_generators]
    discrete = [np.asarray(dense(h)) for h in group.group_generators]
    moving = np.zeros(group.d, dtype=bool)
    for matrix in (*lie, *(h - np.eye(group.d) for h in discrete)):
        moving |= np.any(matrix, axis=0) | np.any(matrix, axis=1)
    if moving.all() or not moving.any():
        return None
    places = np.ix_(moving, moving)
    inner = Group(
        lie_algebra=[a[places] for a in lie],
        discrete_generators=[h[places] for h in discrete],
        refine=0,
    )
    scheme = _catalogued(inner)
    return None if scheme is None else _Embedded(scheme, inner, moving)


def _scheme_of_algebra(group: Group) -> Scheme | None:
    """Return the scheme of a classical group in any basis, or Dynkin labels of a connected one."""
    if group.d > _LARGEST_GROUP:
        return None
    try:
        roots = root_system(group)
    except (MethodNotApplicable, TooLarge):
        return None
    frame = verdict_of(group).frame
    basis = roots.basis if frame is None else np.linalg.solve(frame, roots.basis @ frame)
    classical = _classical(
        roots, basis, [np.asarray(dense(h)) for h in _straight(group).group_generators]
    )
    if classical is not None:
        return classical
    return None if group.group_generators else DynkinLabels(roots, basis)


def _classical(
    roots: RootSystem, basis: Num[np.ndarray, "m d d"], discrete: list[_Matrix]
) -> Scheme | None:
    """Return the scheme of a group whose straight Lie algebra is that of a classical group."""
    d, m, is_complex = roots.group.d, len(basis), np.iscomplexobj(basis)
    is_traceless = bool(np.abs(np.trace(basis, axis1=1, axis2=2)).max() <= _SAME)
    if not is_complex and roots.is_compact and d > 1 and m == d * (d - 1) // 2:
        if any(np.abs(h @ h.T - np.eye(d)).max() > _SAME for h in discrete):
            return None
        is_proper = all(np.linalg.det(h) > 0 for h in discrete)
        return Rotations(d) if is_proper else RotationsAndReflections(d)
    if discrete or roots.is_compact != is_complex:
        return None
    if m == d * d:
        return LinearMaps(d, is_special=False, is_unitary=is_complex)
    if m == d * d - 1 and is_traceless and d > 1:
        return LinearMaps(d, is_special=True, is_unitary=is_complex)
    return None
