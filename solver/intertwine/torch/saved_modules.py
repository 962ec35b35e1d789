"""The modules in saved models. Their fields are those of the layers of `intertwine.nn`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from intertwine.architecture.plain_shape import PlainNetwork
from intertwine.reps import Rep
from intertwine.saving.framework import SavedClass
from intertwine.torch.bilinear import BiLinear
from intertwine.torch.emlp import EMLP, Block, IrrepNetwork
from intertwine.torch.layer import Layer, Weights
from intertwine.torch.linear import Linear
from intertwine.torch.mlp import MLP
from intertwine.torch.nonlinearities import GatedNonlinearity, Pointwise
from intertwine.torch.paper_layers import Conjugated, EMLPBlock, Square
from intertwine.torch.sequential import Sequential
from intertwine.torch.standardize import STATISTICS, Standardize

Fields = Mapping[str, Any]


def _blank(kind: Any, *reps: Rep) -> Any:
    """Return a module without attributes: a layer between two reps, or another one."""
    module = kind.__new__(kind)
    if reps:
        Layer.__init__(module, *reps)
    else:
        torch.nn.Module.__init__(module)
    return module


def _field(module: torch.nn.Module, name: str) -> Any:
    """Return an attribute of a module; weights are a mapping, and modules a tuple."""
    value = getattr(module, name)
    if isinstance(value, Weights):
        return value.named(value.values())
    return tuple(value) if isinstance(value, torch.nn.ModuleList) else value


def _attribute(value: Any) -> Any:
    """Return the attribute for a field: the inverse of `_field`."""
    if isinstance(value, Mapping):
        return Weights(value)
    is_list = isinstance(value, tuple) and value and isinstance(value[0], torch.nn.Module)
    return torch.nn.ModuleList(value) if is_list else value


def _module(
    kind: type[torch.nn.Module],
    names: str,
    reps: Callable[[Fields], tuple[Rep, ...]] = lambda fields: (),
    **defaults: Any,
) -> SavedClass:
    """Return a class of modules whose attributes are the fields. `reps` returns those of a layer
    with these fields.
    """

    def make(fields: Fields) -> Any:
        module = _blank(kind, *reps(fields))
        for name, value in fields.items():
            setattr(module, name, _attribute(value))
        return module

    return SavedClass(kind, tuple(names.split()), make, _field, defaults)


def _reps_of_maps(fields: Fields) -> tuple[Rep, Rep]:
    return fields["maps"].rep_in, fields["maps"].rep_out


def _bilinear() -> SavedClass:
    def make(fields: Fields) -> BiLinear:
        return BiLinear.with_weights(fields["maps"], Weights(fields["weights"]))

    return SavedClass(BiLinear, ("weights", "maps"), make, _field)


def _pointwise() -> SavedClass:
    def make(fields: Fields) -> Pointwise:
        layer: Pointwise = _blank(Pointwise, fields["rep"], fields["rep"])
        layer.function = fields["function"]
        return layer

    def take(layer: Pointwise, name: str) -> Any:
        return layer.rep_in if name == "rep" else layer.function

    return SavedClass(Pointwise, ("rep", "function"), make, take)


def _plain_network() -> SavedClass:
    parts = ("takes_complex", "gives_complex")

    def make(fields: Fields) -> MLP:
        reps, weights = (fields["rep_in"], fields["rep_out"]), fields["weights"]
        sizes = (weights[0].shape[0], *(weight.shape[1] for weight in weights))
        network: MLP = _blank(MLP, *reps)
        network.G = fields["G"]
        network.plain = PlainNetwork(*reps, sizes, *(fields[part] for part in parts))
        names = network.plain.weight_spec
        network.weights = Weights(dict(zip(names, weights, strict=True)))
        network.biases = torch.nn.ParameterList(fields["biases"])
        return network

    def take(network: MLP, name: str) -> Any:
        if name in parts:
            return getattr(network.plain, name)
        value = getattr(network, name)
        if isinstance(value, Weights):
            return tuple(value.values())
        return tuple(value) if isinstance(value, torch.nn.ParameterList) else value

    names = ("weights", "biases", "rep_in", "rep_out", *parts, "G")
    return SavedClass(MLP, names, make, take, {"G": None})


def _standardized() -> SavedClass:
    def make(fields: Fields) -> Standardize:
        return Standardize.of(fields["model"], [fields[name] for name in STATISTICS])

    def take(layer: Standardize, name: str) -> Any:
        return layer.model if name == "model" else tuple(getattr(layer, name).tolist())

    return SavedClass(Standardize, ("model", *STATISTICS), make, take)


MODULES = {
    saved.kind.__name__: saved
    for saved in (
        *(_bilinear(), _pointwise(), _plain_network(), _standardized()),
        _module(Linear, "weights bias maps", _reps_of_maps),
        _module(GatedNonlinearity, "gates", lambda own: (own["gates"].wide, own["gates"].rep)),
        _module(
            EMLPBlock,
            "linear bilinear nonlinearity products_of_input",
            lambda own: (own["linear"].rep_in, own["nonlinearity"].rep_out),
            products_of_input=None,
        ),
        SavedClass(Conjugated, ("rep_in",), lambda own: Conjugated(own["rep_in"])),
        SavedClass(Square, ("rep_in",), lambda own: Square(own["rep_in"])),
        SavedClass(Sequential, ("layers",), lambda own: Sequential(*own["layers"]), _field),
        _module(Block, "weights couplings bias shape"),
        _module(IrrepNetwork, "blocks weights bias space_in space_out"),
        _module(
            EMLP,
            "network rep_in rep_out limits G",
            lambda own: (own["rep_in"], own["rep_out"]),
            limits=(),
            G=None,
        ),
    )
}
"""Classes by name."""
