"""A model as plain data: a tree of JSON values, and named arrays.

It contains everything that outputs depend on, also the change of basis to irreps, whose last digits
may differ between machines. Decoding executes no code: classes are looked up in a fixed list, and
groups and reps are values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from intertwine.architecture.block_shape import BlockShape
from intertwine.architecture.channelwise_maps import ChannelwiseMaps
from intertwine.architecture.equality_maps import EqualityMaps, TensorCopies
from intertwine.architecture.features import Kind
from intertwine.architecture.gates import Gates
from intertwine.architecture.irrep_space import DenseChange, IrrepSpace, TermwiseChange
from intertwine.architecture.linear_maps import BasisMaps, SchurMaps
from intertwine.architecture.paper_maps import Copies, PaperMaps, Path
from intertwine.architecture.products import Coupling, Products
from intertwine.bases import Basis
from intertwine.bases.format import from_arrays, to_arrays
from intertwine.errors import FormatError, IntertwineError, InvalidRep, InvalidSetting
from intertwine.groups import DirectProduct, Group, parse_group
from intertwine.groups.generators import Generator
from intertwine.irreps import Irrep
from intertwine.nn.baked import BakedBlock, BakedNetwork, Dense, Wiring
from intertwine.nn.bilinear import BiLinear
from intertwine.nn.block import Block
from intertwine.nn.conjugates import Conjugated
from intertwine.nn.emlp import EMLP
from intertwine.nn.emlp_block import EMLPBlock
from intertwine.nn.energy import EMLPH, MLPH
from intertwine.nn.gated_nonlinearity import GatedNonlinearity
from intertwine.nn.group_augmentation import GroupAugmentation
from intertwine.nn.irrep_network import IrrepNetwork
from intertwine.nn.layer import Layer
from intertwine.nn.linear import Linear
from intertwine.nn.mlp import MLP
from intertwine.nn.named_reps import (
    Given,
    image_prints,
    over,
    require_same,
    stands_for,
    with_state,
)
from intertwine.nn.parallel import Parallel
from intertwine.nn.pointwise import Pointwise
from intertwine.nn.polynomial import EquivariantPolynomial
from intertwine.nn.polynomial_features import PolynomialFeatures, Step
from intertwine.nn.sequential import Sequential
from intertwine.nn.settings import working
from intertwine.nn.square import Square
from intertwine.nn.standardize import Standardize
from intertwine.nn.vector_field import EMLPode, MLPode
from intertwine.operators import Permutation, dense
from intertwine.reps import Base, Dual, Rep, ScalarRep, Sum, Tensor
from intertwine.reps.functors.conjugates import Conjugate
from intertwine.reps.functors.determinants import Determinant, SignRep
from intertwine.reps.functors.index_symmetry import IndexSymmetric
from intertwine.reps.functors.tensor_powers import AlternatingPower, SymmetricPower
from intertwine.reps.functors.young import SchurFunctor
from intertwine.reps.generator_images import Images
from intertwine.reps.generator_rep import GeneratorRep

Arrays = dict[str, Shaped[np.ndarray, "..."]]

_DTYPES = ("float32", "float64", "complex64", "complex128", "int32", "int64", "int8")
_UNREADABLE = (
    *(IntertwineError, KeyError, TypeError, ValueError, AttributeError, IndexError),
    *(RecursionError, OverflowError),
)

#: The classes that a model may contain, by name.
_CLASSES: dict[str, Any] = {
    cls.__name__: cls
    for cls in (
        *(EMLP, MLP, Sequential, Standardize, EMLPBlock, Linear, BiLinear, GatedNonlinearity),
        *(Pointwise, IrrepNetwork, Block, BlockShape, Products, Coupling, Kind),
        *(
            IrrepSpace,
            DenseChange,
            TermwiseChange,
            SchurMaps,
            BasisMaps,
            EqualityMaps,
            TensorCopies,
            ChannelwiseMaps,
            PaperMaps,
            Path,
            Copies,
        ),
        *(EMLPH, MLPH, EMLPode, MLPode, GroupAugmentation),
        *(EquivariantPolynomial, PolynomialFeatures, Step, Parallel),
        *(Gates, BakedNetwork, BakedBlock, Dense, Wiring, Conjugated, Square),
        *(Base, Dual, ScalarRep, Sum, Tensor, Irrep),
        *(SymmetricPower, AlternatingPower, Determinant, SignRep, Conjugate),
        *(IndexSymmetric, SchurFunctor),
    )
}


def encode(model: Any, names: Mapping[str, Given] | None = None) -> tuple[Any, Arrays]:
    """Return the model as JSON values and arrays. `names` are the custom reps in it.

    Raises `InvalidRep` for a custom rep without a name and for an unknown layer.
    """
    writer = _Writer(names or {})
    return writer.value(model, ""), writer.arrays


def decode(tree: Any, arrays: Mapping[str, Any], names: Mapping[str, Given] | None = None) -> Any:
    """Return the model that `encode` encoded. Raises `FormatError` for anything else, and
    `InvalidSetting` for float64 weights while JAX has float64 disabled.
    """
    try:
        model = _Reader(arrays, names or {}).value(tree)
    except (FormatError, InvalidSetting):
        raise
    except _UNREADABLE as error:
        raise FormatError(f"this is not an intertwine model: {error!r}") from error
    if not isinstance(model, Layer):
        raise FormatError(f"this is not an intertwine model but a {type(model).__name__}")
    return model


class _Writer:
    def __init__(self, names: Mapping[str, Given]) -> None:
        self.names = names
        self.arrays: Arrays = {}
        self.seen: dict[int, tuple[int, Any]] = {}

    def value(self, value: Any, path: str) -> Any:
        """Return a value as JSON; arrays are stored under their path in the model."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, complex):
            return {"complex": [value.real, value.imag]}
        if isinstance(value, tuple | list):
            return {"items": [self.value(v, f"{path}.{i}") for i, v in enumerate(value)]}
        if isinstance(value, Mapping):
            return {"map": [[k, self.value(v, f"{path}.{k}")] for k, v in value.items()]}
        if isinstance(value, jax.Array):
            return {"weights": self._put(path, np.asarray(value))}
        if isinstance(value, np.ndarray):
            return {"constants": self._put(path, value)}
        return self._shared(value, path)

    def _put(self, path: str, array: Shaped[np.ndarray, "..."]) -> str:
        name = path.lstrip(".")
        if array.dtype.name not in _DTYPES:
            raise InvalidRep(
                f"{name} has dtype {array.dtype}, which cannot be saved: use {', '.join(_DTYPES)}"
            )
        self.arrays[name] = array
        return name

    def _shared(self, value: Any, path: str) -> Any:
        """Return an object in full the first time, then a reference to it."""
        if id(value) in self.seen:
            return {"same": self.seen[id(value)][0]}
        number = len(self.seen)
        self.seen[id(value)] = number, value  # kept alive, so that its id is not reused
        return {"number": number, **self._object(value, path)}

    def _object(self, value: Any, path: str) -> dict[str, Any]:
        for name, given in self.names.items():
            if isinstance(value, Rep) and stands_for(given, value):
                return self._named(name, given, value, path)
        if isinstance(value, Group):
            return self._group(value, path)
        if isinstance(value, GeneratorRep):
            return self._rep_by_generators(value, path)
        if isinstance(value, Basis):
            arrays, metadata = to_arrays(value)
            for name, array in arrays.items():
                self._put(f"{path}.{name}", array)
            return {"basis": metadata, "at": path.lstrip(".")}
        if isinstance(value, IrrepSpace):
            value = value.written()
        kind = type(value).__name__
        if _CLASSES.get(kind) is not type(value):
            own = f"{value!r}: give it by name, as names={{'P': P}}"
            shown = own if isinstance(value, Rep) else f"{type(value).__module__}.{kind}"
            raise InvalidRep(f"a model cannot be saved with {shown}")
        inner = {
            field: self.value(getattr(value, field), f"{path}.{field}") for field in _fields(value)
        }
        return {"class": kind, "fields": inner}

    def _rep_by_generators(self, rep: GeneratorRep, path: str) -> dict[str, Any]:
        """Return the images that define a rep; a subspace is read as a plain rep with these."""
        images = {
            kind: [_image_arrays(image) for image in given]
            for kind, given in (("lie", rep.generators.lie), ("discrete", rep.generators.discrete))
        }
        return {
            "rep": {"name": rep.given_name, "size": rep.size()},
            "images": self.value(images, f"{path}.images"),
            "over": self.value(rep.G, f"{path}.G"),
        }

    def _named(self, name: str, given: Given, rep: Rep, path: str) -> dict[str, Any]:
        """Return the name of a custom rep, and the data that identify it on loading."""
        group = None if rep.G is None else self.value(rep.G, f"{path}.G")
        found = {"name": name, "images": image_prints(rep), "over": group}
        arrays, seen = dict(self.arrays), dict(self.seen)
        try:
            found["state"] = self.value(dict(vars(rep)), f"{path}.state")
        except (InvalidRep, TypeError) as error:
            self.arrays, self.seen = arrays, seen
            if isinstance(given, type):
                raise InvalidRep(
                    f"{rep!r} has attributes that cannot be saved: give the rep itself as "
                    f"names={{{name!r}: …}}, not its class ({error})"
                ) from error
        return found

    def _group(self, group: Group, path: str) -> dict[str, Any]:
        if _is_catalogued(group):
            return {"group": repr(group)}
        if isinstance(group, DirectProduct) and group._label:
            sides = [self.value(side, f"{path}.{i}") for i, side in enumerate(_sides(group))]
            return {"product": sides, "copy": list(group.copy_numbers)}
        generators = {
            "lie_algebra": [np.asarray(dense(a)) for a in group.lie_generators],
            "discrete_generators": [np.asarray(dense(h)) for h in group.group_generators],
        }
        numbers = {"copy": list(group.copy_numbers)} if group.copy_numbers else {}
        return {"generators": self.value(generators, f"{path}.group"), "d": group.d, **numbers}


class _Reader:
    def __init__(self, arrays: Mapping[str, Any], names: Mapping[str, Given]) -> None:
        self.arrays, self.names = arrays, names
        self.seen: dict[int, Any] = {}

    def value(self, tree: Any) -> Any:
        """Return the value that `_Writer.value` encoded."""
        if tree is None or isinstance(tree, bool | int | float | str):
            return tree
        if "complex" in tree:
            return complex(*tree["complex"])
        if "items" in tree:
            return tuple(map(self.value, tree["items"]))
        if "map" in tree:
            return {key: self.value(inner) for key, inner in tree["map"]}
        if "weights" in tree:
            array = self.arrays[tree["weights"]]
            return jnp.asarray(array, working(array.dtype, np.iscomplexobj(array)))
        if "constants" in tree:
            return np.array(self.arrays[tree["constants"]])
        if "same" in tree:
            return self.seen[tree["same"]]
        found = self.seen[tree["number"]] = self._object(tree)
        return found

    def _object(self, tree: Mapping[str, Any]) -> Any:
        if "rep" in tree:
            return self._rep_by_generators(tree)
        if "name" in tree:
            return self._named(tree)
        if "group" in tree:
            return parse_group(tree["group"])
        if "product" in tree:
            left, right = map(self.value, tree["product"])
            return (left * right).numbered(tree["copy"]) if tree["copy"] else left * right
        if "generators" in tree:
            group = Group(**self.value(tree["generators"]), d=tree["d"])
            return group.numbered(tree["copy"]) if "copy" in tree else group
        if "basis" in tree:
            prefix = f"{tree['at']}."
            own = {n[len(prefix) :]: a for n, a in self.arrays.items() if n.startswith(prefix)}
            return from_arrays(own, tree["basis"])
        if tree["class"] not in _CLASSES:
            raise FormatError(f"a model cannot contain {tree['class']!r}")
        cls = _CLASSES[tree["class"]]
        values = _defaults(cls) | {n: self.value(inner) for n, inner in tree["fields"].items()}
        if {*values} != {*_fields(cls)}:
            raise FormatError(f"a {tree['class']} has other fields than {sorted(values)}")
        found: Any = object.__new__(cls)
        for name, value in values.items():
            object.__setattr__(found, name, value)
        return found

    def _rep_by_generators(self, tree: Mapping[str, Any]) -> GeneratorRep:
        group, given = self.value(tree["over"]), self.value(tree["images"])
        lie, discrete = (tuple(map(_image_of, given[kind])) for kind in ("lie", "discrete"))
        size, counts = tree["rep"]["size"], (len(lie), len(discrete))
        if counts != (len(group.lie_generators), len(group.group_generators)) or any(
            image.shape != (size, size) for image in (*lie, *discrete)
        ):
            raise FormatError(
                f"a rep of size {size} over {group!r} has images of wrong shapes, or a wrong "
                f"number of them: save the model again"
            )
        return GeneratorRep(group, Images(lie, discrete), size, tree["rep"]["name"])

    def _named(self, tree: Mapping[str, Any]) -> Rep:
        name = tree["name"]
        if name not in self.names:
            raise FormatError(
                f"the model uses the custom rep {name!r}: give it as names={{{name!r}: …}}"
            )
        given, group = self.names[name], self.value(tree.get("over"))
        state = self.value(tree.get("state"))
        if not isinstance(given, type):
            rep = over(given, group)
        elif state is not None:
            rep = with_state(given, state)
        else:
            raise FormatError(
                f"{name!r} is given as a class, and its attributes were not saved: give the rep "
                f"itself, as names={{{name!r}: {given.__name__}(…)}}"
            )
        require_same(name, rep, tree.get("images"))
        return rep


def _image_arrays(image: Generator) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return the arrays of an image: a matrix, or the indices and signs of a permutation."""
    if not isinstance(image, Permutation):
        return {"matrix": np.asarray(dense(image))}
    signs = {} if image.signs is None else {"signs": image.signs}
    return {"indices": image.indices.astype(np.int64), **signs}


def _image_of(arrays: Mapping[str, Shaped[np.ndarray, "..."]]) -> Generator:
    if "matrix" in arrays:
        return arrays["matrix"]
    return Permutation(arrays["indices"], arrays.get("signs"))


def _fields(value: Any) -> tuple[str, ...]:
    """Return the names of the saved fields of a layer or a rep."""
    if is_dataclass(value):
        return tuple(field.name for field in fields(value))
    names: tuple[str, ...] = getattr(value, "__match_args__", ())
    return names


def _defaults(cls: type) -> dict[str, Any]:
    """Return the defaults of the fields that models of earlier versions may lack."""
    known = fields(cls) if is_dataclass(cls) else ()
    return {field.name: field.default for field in known if field.default is not MISSING}


def _sides(group: DirectProduct) -> tuple[Group, Group]:
    original = group.unnumbered
    assert isinstance(original, DirectProduct)
    return original.left, original.right


def _is_catalogued(group: Group) -> bool:
    try:
        return parse_group(repr(group)) == group
    except IntertwineError:
        return False
