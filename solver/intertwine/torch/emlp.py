"""The equivariant network of the paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Inexact

from intertwine.architecture.bilinear_maps import Bilinear, require_form
from intertwine.architecture.block import apply_block
from intertwine.architecture.block_shape import BlockShape
from intertwine.architecture.by_content import content_digest
from intertwine.architecture.features import Features
from intertwine.architecture.hidden_reps import hidden_layers, require_shared_group
from intertwine.architecture.initialization import positive
from intertwine.architecture.irrep_network import (
    IrrepArchitecture,
    irrep_architecture,
    read_out,
    through_blocks,
)
from intertwine.architecture.network_faults import warn_of
from intertwine.architecture.network_group import NetworkGroup
from intertwine.architecture.paper_form import paper_network
from intertwine.architecture.seed import Seed, as_seed
from intertwine.errors import InvalidRep, MethodNotApplicable
from intertwine.groups import Group
from intertwine.integers import checked_integer
from intertwine.reps import Rep
from intertwine.torch.layer import Key, Layer, Weights, numpy_kind, working, zeros
from intertwine.torch.paper_layers import PaperLayers
from intertwine.torch.sequential import Sequential
from intertwine.torch_compilation import OfTorchCompile, one_operation


class Block(torch.nn.Module):
    """The weights of a block (`intertwine.architecture.block`)."""

    def __init__(self, shape: BlockShape, weights: tuple[Any, Any], dtype: torch.dtype) -> None:
        super().__init__()
        self.shape = shape
        self.weights, self.couplings = (Weights.of(each, dtype) for each in weights)
        self.bias = zeros(shape.before[shape.trivial], dtype)

    def values(self) -> list[torch.Tensor]:
        """Return all parameters, as `applied` takes them."""
        return [*self.weights.values(), *self.couplings.values(), self.bias]

    def applied(self, tensors: Iterator[torch.Tensor]) -> Callable[..., Features]:
        """Return the block with the next of these tensors as its parameters."""
        weights, couplings = self.weights.named(tensors), self.couplings.named(tensors)
        return partial(apply_block, self.shape, weights, couplings, next(tensors))


class IrrepNetwork(OfTorchCompile, torch.nn.Module):
    """Blocks of linear map, products and gates, then a linear map, on a batch of vectors."""

    def __init__(
        self, architecture: IrrepArchitecture, gain: float, seed: Seed, dtype: torch.dtype | None
    ) -> None:
        super().__init__()
        chosen = working(dtype, architecture.is_complex)
        shape, kind = architecture.shape, numpy_kind(chosen)
        self.space_in, self.space_out = shape.space_in, shape.space_out
        made = architecture.initial_weights(gain, seed, kind)
        self.blocks = torch.nn.ModuleList(
            Block(block, weights, chosen)
            for block, weights in zip(shape.blocks, made["blocks"], strict=True)
        )
        self.weights = Weights.of(made["last"], chosen)
        self.bias = zeros(architecture.constants, chosen)

    def _content(self) -> str | None:
        blocks = [
            (block.shape, block.weights.names, block.couplings.names) for block in self.blocks
        ]
        return content_digest(blocks, self.weights.names, self.space_in, self.space_out)

    @property
    def hidden(self) -> str:
        """The multiplicities between the blocks, as text."""
        return ", ".join(str(dict(block.shape.reached)) for block in self.blocks)

    def forward(self, x: Inexact[torch.Tensor, "b n"]) -> Inexact[torch.Tensor, "b m"]:
        """Return f(x) for a batch."""
        tensors = [tensor for block in self.blocks for tensor in block.values()]
        return self._image(x, *tensors, *self.weights.values(), self.bias)

    @one_operation
    def _image(
        self, x: Inexact[torch.Tensor, "b n"], *tensors: torch.Tensor
    ) -> Inexact[torch.Tensor, "b m"]:
        rest = iter(tensors)
        blocks = [block.applied(rest) for block in self.blocks]
        features = through_blocks(self.space_in, blocks, x, is_batch=True)
        weights = self.weights.named(rest)
        return read_out(weights, next(rest), self.space_out, features, x, is_batch=True)


class EMLP(Layer):
    """f(ρ_in(g)x) = ρ_out(g)f(x): blocks of linear map, bilinear map and gates, then a linear map.

    The network of `intertwine.nn.EMLP`, with the same arguments, mathematics and initial weights
    (Finzi, Welling and Wilson 2021, §6.2). ``bilinear="channelwise"`` keeps features in irrep
    coordinates, ``"paper"`` has the paper's bilinear layer, and takes any groups. The default is
    the first if the reps are sums of irreps of one group, and the second otherwise.

    `ch` is the width of the hidden layers, whose rep is `uniform_rep(ch, group)`; or their rep, or
    its text; or a list of these, one per layer. A `ReachWarning` says what named reps or too few
    layers leave out, and `limits` keeps it. At initialization, outputs have root mean square `gain`
    for standard normal inputs. `key` is a seed: equal arguments give equal networks. ``model(x)``
    maps x of shape (…, n) to (…, m).

    Raises `InvalidRep` if every equivariant function of this form is constant, and
    `MethodNotApplicable` if ``"channelwise"`` is given and the reps are not recognised as sums of
    irreps.
    """

    def __init__(
        self,
        rep_in: Rep | str | int,
        rep_out: Rep | str | int,
        group: Group,
        ch: int | Rep | str | Sequence[int | Rep | str] = 384,
        num_layers: int | None = None,
        *,
        bilinear: Bilinear | None = None,
        channels: int = 16,
        gain: float | int = 1.0,
        key: Key = 0,
        dtype: torch.dtype | None = None,
    ) -> None:
        over = NetworkGroup.of((rep_in, rep_out), group)
        super().__init__(over.rep(rep_in), over.rep(rep_out))
        self.G = group
        if not self.rep_in.size():
            raise InvalidRep("a network needs an input, and rep_in has size 0")
        hidden = hidden_layers(ch, num_layers, over)
        require_shared_group(self.rep_in, [layer.rep for layer in hidden])
        channels = checked_integer(channels, "the number of channels")
        gain, seed = positive(gain, "the gain"), as_seed(key)
        self.network: IrrepNetwork | Sequential
        limits: list[str] = []
        if bilinear is None or require_form(bilinear) == "channelwise":
            try:
                plan = irrep_architecture(self.rep_in, hidden, self.rep_out, group, channels)
                self.network = IrrepNetwork(plan, gain, seed, dtype)
                limits += plan.limits
            except MethodNotApplicable:
                if bilinear is not None:
                    raise
                bilinear = "paper"
        if bilinear == "paper":
            self.network = paper_network(
                *(PaperLayers(dtype), self.rep_in, hidden, self.rep_out, group, gain, seed),
                limits,
            )
        self.limits = tuple(limits)
        for limit in limits:
            warn_of(limit)

    def forward(self, x: Any) -> Inexact[torch.Tensor, "..."]:
        """Return f(x) for each vector of x."""
        if isinstance(self.network, Sequential):
            flat, batch = self.rows(x, self.network[-1].bias.dtype)
            return batch.images(self.network(flat, rounded=False))
        flat, batch = self.rows(x, self.network.bias.dtype)
        return batch.images(self.network(flat))

    def extra_repr(self) -> str:
        """Return the reps, and what is between them."""
        return f"{self.rep_in!r} → {self.network.hidden} → {self.rep_out!r}"


def limits_of(model: torch.nn.Module) -> list[str]:
    """Return the limits of all networks in a model."""
    return [limit for one in model.modules() if isinstance(one, EMLP) for limit in one.limits]
