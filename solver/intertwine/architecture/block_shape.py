"""The shape of a block: its multiplicities, gates and products."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from intertwine.architecture.by_content import ByContent
from intertwine.architecture.features import Kind
from intertwine.architecture.hidden_space import HiddenSpace
from intertwine.architecture.irrep_space import IrrepSpace
from intertwine.architecture.products import NARROW, Coupling, Products, Triple, couplings
from intertwine.groups import Group

_FEWEST = 4  # an irrep with fewer copies stays out of products, if there are others
_ELEMENTWISE = 0.2
"""The operations that products may take per multiplication of the linear maps."""
_TERMS = 320
"""The largest number of terms in the products of a block: each is an instruction to compile."""


@dataclass(frozen=True, eq=False)
class BlockShape(ByContent):
    """A block without its weights: multiplicities by irrep name, and the products.

    The linear maps give, `before` the gates, the outputs and a gate for each copy of a nontrivial
    irrep.
    """

    kinds: Mapping[str, Kind]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    trivial: str
    products: Products

    @cached_property
    def gated(self) -> dict[str, int]:
        """The irreps with gates, and their numbers of gates."""
        return {name: m for name, m in self.reached.items() if name != self.trivial}

    @cached_property
    def reached(self) -> dict[str, int]:
        """The outputs that are not always zero."""
        from_products = {*self.products.fan_in, self.trivial}
        return {n: m for n, m in self.outputs.items() if n in self.inputs or n in from_products}

    @cached_property
    def before(self) -> dict[str, int]:
        """The multiplicities before the gates."""
        scalars = self.outputs.get(self.trivial, 0) + sum(self.gated.values())
        return {**self.reached, self.trivial: scalars}

    def dependence(
        self, varying: Collection[str], curved: Collection[str], products: Collection[Triple]
    ) -> tuple[set[str], set[str]]:
        """Return the outputs that depend on the network's input, and those that do so nonlinearly.

        `varying` and `curved` are the same for the inputs of the block, and `products` are those
        that do not vanish. All other outputs are zero, or made of biases.
        """
        before = {name for name in varying if name in self.before}
        bent = {name for name in curved if name in self.before}
        for left, right, target in products:
            factors = {left, right}
            if not factors.isdisjoint(varying):
                before.add(target)
            if factors <= {*varying} or not factors.isdisjoint(curved):
                bent.add(target)
        gates_move = self.trivial in before
        kept = {name for name in self.reached if name in before}
        return kept, kept if gates_move else kept & bent


@dataclass(frozen=True)
class Reach:
    """What a block must include, whatever it costs.

    The irreps `given`, those of the network's input, take part in products even if they have few
    copies: functions of them alone could not be learned otherwise. Each irrep `wanted` is reached,
    if anything leads to it. The products `required` are taken; with `only_required`, no others but
    those to irreps `wanted`.
    """

    given: tuple[str, ...] = ()
    wanted: frozenset[str] = frozenset()
    required: frozenset[Triple] = frozenset()
    only_required: bool = False


def block_shape_of(
    source: IrrepSpace | HiddenSpace,
    inputs: Mapping[str, int],
    target: HiddenSpace,
    group: Group,
    channels: int,
    reach: Reach,
) -> BlockShape:
    """Return the shape of a block between two layers; `inputs` are the source's irreps that are not
    always zero.

    Products take at most `channels` channels of each irrep, the cheapest first, within budgets of
    time and of terms. If none fits, one is taken to each irrep that no linear map reaches. The
    products that `reach` requires beside these are added, on few channels. Equal arguments give the
    same object, and so one compilation.
    """
    return _block_shape(source, tuple(inputs.items()), target, group, channels, reach)


@lru_cache(maxsize=256)
def _block_shape(
    source: IrrepSpace | HiddenSpace,
    inputs: tuple[tuple[str, int], ...],
    target: HiddenSpace,
    group: Group,
    channels: int,
    reach: Reach,
) -> BlockShape:
    present, outputs = dict(inputs), dict(target.multiplicities)
    kinds = {**source.kinds, **target.kinds}
    # products to scalars feed the gates, even if the block has no scalar output
    targets = {name: kinds[name] for name in (*outputs, target.trivial)}
    # few inputs may enter products on as many channels as there are outputs
    copies = {name: max(m, outputs.get(name, 0)) for name, m in present.items()}
    entering = {name: min(channels, m) for name, m in copies.items() if channels}
    many = [name for name in entering if copies[name] >= _FEWEST]
    linear = BlockShape(kinds, present, outputs, target.trivial, Products(kinds, {}, ()))
    candidates = _Candidates(tuple(entering), kinds, targets, group)
    chosen: list[Coupling] = []
    if not reach.only_required:
        every = Products(kinds, entering, candidates.among(many))
        chosen = _affordable(every, _ELEMENTWISE * _linear_cost(linear, copies))
        if not chosen:
            missing = {name: kind for name, kind in targets.items() if name not in present}
            chosen = _cheapest(replace(candidates, targets=missing).among(entering))
        for name in reach.given:
            if name in entering:
                chosen += candidates.missing(name, chosen)
    narrow = candidates.required(reach.required, chosen)
    led_to = {*present, *(coupling.target for coupling in (*chosen, *narrow))}
    unreached = {n: kind for n, kind in targets.items() if n in reach.wanted and n not in led_to}
    if unreached:
        narrow += _cheapest(replace(candidates, targets=unreached).among(entering))
    channels_of = {n: c for n, c in entering.items() if n in _factors(chosen)}
    for name in _factors(narrow):
        channels_of.setdefault(name, min(entering[name], NARROW))
    products = Products(kinds, channels_of, tuple(chosen), tuple(narrow))
    return BlockShape(kinds, present, outputs, target.trivial, products)


def _factors(couplings: Sequence[Coupling]) -> list[str]:
    return [*dict.fromkeys(name for c in couplings for name in (c.left, c.right))]


@dataclass(frozen=True)
class _Candidates:
    """The products that a block may take: of the irreps of these names, to the targets."""

    names: Sequence[str]
    kinds: Mapping[str, Kind]
    targets: Mapping[str, Kind]
    group: Group

    def among(self, names: Iterable[str]) -> Sequence[Coupling]:
        """Return the products of irreps of these names."""
        return couplings([*names], self.kinds, self.targets, self.group)

    def required(self, triples: Iterable[Triple], chosen: Sequence[Coupling]) -> list[Coupling]:
        """Return all couplings of these triples that are not chosen."""
        found: list[Coupling] = []
        known = {*chosen}
        sought = {(frozenset(triple[:2]), triple[2]) for triple in triples}
        for pair in sorted({tuple(sorted(factors)) for factors, _ in sought}):
            if all(name in self.names for name in pair):
                found += [
                    coupling
                    for coupling in self.among({*pair})
                    if (frozenset((coupling.left, coupling.right)), coupling.target) in sought
                    and coupling not in known
                ]
        return found

    def missing(self, name: str, chosen: Sequence[Coupling]) -> list[Coupling]:
        """Return the products that an irrep lacks among the chosen: its invariant form, or all."""
        own = [coupling for coupling in chosen if self._is_of(name, coupling)]
        if own and (self.kinds[name].is_trivial or any(map(self._is_invariant, own))):
            return []
        found = self._of(name)
        return [coupling for coupling in found if self._is_invariant(coupling)] if own else found

    def _of(self, name: str) -> list[Coupling]:
        """Return the cheapest product of an irrep to each target: the first, and others of up to
        `_TERMS`.

        Products to scalars and to the irrep itself come first. Factors are irreps of the same
        dimension, among them the irrep and its dual, since there may be no others; only if those
        have no products, all irreps.
        """
        alike = [n for n in self.names if self.kinds[n].dimension == self.kinds[name].dimension]
        found: list[Coupling] = []
        for names in (alike, self.names):
            found = found or [c for c in self.among(names) if self._is_of(name, c)]
        left = _TERMS
        kept: list[Coupling] = []

        def rank(coupling: Coupling) -> tuple[bool, int]:
            closes = self._is_invariant(coupling) or coupling.target == name
            return not closes, coupling.operations

        for coupling in sorted(_cheapest(found), key=rank):
            left -= coupling.operations
            if left >= 0 or not kept:
                kept.append(coupling)
        return kept

    def _is_of(self, name: str, coupling: Coupling) -> bool:
        """Return whether the product has this irrep and no trivial one as factors; True for
        scalars.
        """
        pair = (coupling.left, coupling.right)
        return self.kinds[name].is_trivial or (
            name in pair and not any(self.kinds[factor].is_trivial for factor in pair)
        )

    def _is_invariant(self, coupling: Coupling) -> bool:
        return self.kinds[coupling.target].is_trivial


def _cheapest(every: Sequence[Coupling]) -> list[Coupling]:
    """Return the cheapest product to each irrep."""
    by_cost = sorted(every, key=lambda coupling: coupling.operations, reverse=True)
    return [*{coupling.target: coupling for coupling in by_cost}.values()]


def _affordable(every: Products, time: float) -> list[Coupling]:
    """Return the cheapest products within `time` operations per sample and `_TERMS` terms."""
    chosen: list[Coupling] = []
    terms = _TERMS
    for coupling in sorted(every.couplings, key=lambda c: c.operations):
        time -= coupling.operations * every.width(coupling)
        terms -= coupling.operations
        if min(time, terms) >= 0:
            chosen.append(coupling)
    return chosen


def _linear_cost(shape: BlockShape, copies: Mapping[str, int]) -> int:
    """Return the number of multiplications per sample of the linear maps."""
    before = shape.before
    return sum(
        m * before.get(name, 0) * shape.kinds[name].dimension * shape.kinds[name].freedom
        for name, m in copies.items()
    )
