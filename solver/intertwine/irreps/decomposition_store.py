"""Save a group's irreps and decomposed products in a store, and load them in other processes.

The catalogue of a group grows, but entries of a store are immutable. A catalogue is therefore saved
in generations: each is a file under a key of (format, group, field, generation) and is at least
half as large again as the one before. `load` reads the newest generation. `docs/format.md`
describes the file.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from intertwine.bases.safetensors_file import read_file, require_key, write_arrays
from intertwine.bases.storage import UNREADABLE, Put, read_count
from intertwine.bases.store import BasisStore
from intertwine.errors import FormatError
from intertwine.irreps.actions import Action, MatrixRep
from intertwine.irreps.catalogue import Catalogue
from intertwine.irreps.decomposer import Decomposer
from intertwine.irreps.irreducible import IRREP_NAME, Irreducible, Isometries, Origin
from intertwine.reps.syntax import Base, Dual, Rep

NAME, VERSION = "intertwine-irreps", 2  # 1: by a solver that sometimes took sums for irreps
_GROWTH = 1.5
_LOG = logging.getLogger("intertwine")


def store_key(decomposer: Decomposer, generation: int) -> str:
    """Return the hex sha256 of (format version, group generators, field, generation)."""
    text = f"{NAME} {VERSION}\n{decomposer.group.digest}\n{decomposer.dtype.name}\n{generation}"
    return hashlib.sha256(text.encode()).hexdigest()


def load(decomposer: Decomposer, store: BasisStore) -> None:
    """Fill an empty catalogue with the newest generation that the store has of its group."""
    with decomposer.lock:
        if len(decomposer.catalogue.irreps) > 1:
            return
        generation, path = _newest(decomposer, store)
        if path is None:
            return
        try:
            arrays, metadata = read_file(path)
            require_key(metadata, store_key(decomposer, generation))
            _read(decomposer, arrays, metadata)
        except OSError as error:
            _LOG.info("the store lost the irreps of %r: %s", decomposer.group, error)
        except (FormatError, *UNREADABLE) as error:
            store.reject(store_key(decomposer, generation), f"not a catalogue of irreps: {error}")
        decomposer.kept = _weight(decomposer.catalogue)


def save(decomposer: Decomposer, store: BasisStore) -> None:
    """Save the catalogue if it has grown by half since it was last saved.

    A catalogue with irreps of user-defined reps is not saved: other processes do not know these
    reps.
    """
    with decomposer.lock:
        weight = _weight(decomposer.catalogue)
        if not weight or weight < _GROWTH * decomposer.kept or not _is_portable(decomposer):
            return
        decomposer.kept = weight
        generation, path = _newest(decomposer, store)
        if path is not None and weight < _GROWTH * _kept_weight(path):
            return
        arrays, metadata = _write(decomposer)
    group = decomposer.group.description
    found = f"{len(decomposer.catalogue.irreps)} irreps"
    details = {"canonical": found, "group": group, "kind": "irreps"}
    key = store_key(decomposer, generation + 1)
    metadata["of"] = {"key": key, **details}
    store.publish(key, lambda write: write_arrays(arrays, metadata, write), details)


def _newest(decomposer: Decomposer, store: BasisStore) -> tuple[int, Path | None]:
    """Return the newest generation and its file, or (−1, None) if the store has none."""
    newest: tuple[int, Path | None] = (-1, None)
    for generation in count():
        entry = store.read(store_key(decomposer, generation))
        if entry is None:
            return newest
        newest = generation, entry[1]
    raise AssertionError("unreachable")


def _kept_weight(path: Path) -> int:
    try:
        return int(read_file(path)[1]["weight"])
    except (OSError, FormatError, *UNREADABLE):
        return 0


def _weight(catalogue: Catalogue) -> int:
    return len(catalogue.irreps) - 1 + len(catalogue.products)


def _is_portable(decomposer: Decomposer) -> bool:
    known = (Base(decomposer.group), Base(decomposer.group).T)
    origins = [irrep.origin for irrep in decomposer.catalogue.irreps if irrep.origin]
    return all(isinstance(o.inside, tuple) or o.inside in known for o in origins)


def _write(decomposer: Decomposer) -> tuple[dict[str, Any], dict[str, Any]]:
    arrays: dict[str, Shaped[np.ndarray, "..."]] = {}

    def put(meaning: str, array: Shaped[np.ndarray, "..."]) -> str:
        name = f"{meaning}.{len(arrays)}"
        arrays[name] = np.ascontiguousarray(array)
        return name

    catalogue = decomposer.catalogue
    metadata = {
        "format": NAME,
        "version": VERSION,
        "weight": _weight(catalogue),
        "irreps": [_write_irrep(irrep, put) for irrep in catalogue.irreps[1:]],
        "products": [
            [a, b, [[target, put("isometries", maps)] for target, maps in sorted(found.items())]]
            for (a, b), found in sorted(catalogue.products.items())
        ],
    }
    return arrays, metadata


def _write_irrep(irrep: Irreducible, put: Put) -> dict[str, Any]:
    assert irrep.origin is not None
    inside, rep = irrep.origin.inside, irrep.rep
    named = ("V*" if isinstance(inside, Dual) else "V") if isinstance(inside, Rep) else list(inside)
    same = rep.constraints is rep.given
    return {
        "name": irrep.name,
        "inside": named,
        "isometry": put("isometry", irrep.origin.isometry),
        "matrices": put("matrices", rep.given.matrices),
        "constraints": None if same else put("constraints", rep.constraints.matrices),
        "endomorphisms": put("endomorphisms", irrep.endomorphisms),
        "fingerprint": put("fingerprint", irrep.fingerprint),
    }


def _read(decomposer: Decomposer, arrays: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Fill the catalogue. For invalid content, raise `FormatError` and leave it unchanged."""
    if metadata["format"] != NAME or metadata["version"] != VERSION:
        raise FormatError(f"expected {NAME} version {VERSION}")
    catalogue = decomposer.catalogue
    irreps = [catalogue.irreps[0]]
    for entry in metadata["irreps"]:
        irreps.append(_read_irrep(decomposer, irreps, entry, arrays))
    products: dict[tuple[int, int], Isometries] = {}
    for a, b, listed in metadata["products"]:
        n = (
            irreps[read_count(a, "an irrep")].dimension
            * irreps[read_count(b, "an irrep")].dimension
        )
        found = {}
        for target, name in listed:
            maps = np.array(arrays[name])
            d = irreps[read_count(target, "an irrep")].dimension
            if maps.ndim != 3 or (maps.shape[0], maps.shape[2]) != (n, d):
                raise FormatError(f"isometries of shape {maps.shape} are not ({n}, m, {d})")
            found[target] = maps
        if sum(maps.shape[1] * maps.shape[2] for maps in found.values()) != n:
            raise FormatError(f"the product of irreps {a} and {b} is not complete")
        products[a, b] = found
    catalogue.irreps[:] = irreps
    catalogue.products.update(products)


def _read_irrep(
    decomposer: Decomposer,
    before: list[Irreducible],
    entry: Mapping[str, Any],
    arrays: Mapping[str, Any],
) -> Irreducible:
    trivial, base = before[0], Base(decomposer.group)
    isometry, matrices = np.array(arrays[entry["isometry"]]), np.array(arrays[entry["matrices"]])
    endomorphisms = np.array(arrays[entry["endomorphisms"]])
    n, d = isometry.shape
    given = Action(matrices, trivial.rep.given.lie_count)
    constraints = given
    if entry["constraints"] is not None:
        expected = trivial.rep.constraints
        constraints = Action(np.array(arrays[entry["constraints"]]), expected.lie_count)
        if constraints.matrices.shape != (expected.count, d, d):
            raise FormatError("the elements that an irrep was solved with do not fit")
    inside: Rep | tuple[int, int]
    if isinstance(entry["inside"], str):
        inside = {"V": base, "V*": base.T}[entry["inside"]]
        size = inside.size()
    else:
        a, b = (read_count(index, "an irrep") for index in entry["inside"])
        inside, size = (a, b), before[a].dimension * before[b].dimension
    shapes = (matrices.shape, endomorphisms.shape[1:], n)
    if shapes != ((trivial.rep.given.count, d, d), (d, d), size):
        raise FormatError(f"an irrep's arrays have the shapes {shapes}, which do not fit")
    name = entry["name"]
    if (
        not isinstance(name, str)
        or not IRREP_NAME.fullmatch(name)
        or name in {irrep.name for irrep in before}
    ):
        raise FormatError(f"{name!r} is not a valid name for a new irrep")
    found = Irreducible(
        len(before),
        name,
        Origin(inside, isometry),
        MatrixRep(given, constraints),
        endomorphisms,
        np.array(arrays[entry["fingerprint"]]),
    )
    if not np.allclose(decomposer.catalogue.words.fingerprint(found.rep), found.fingerprint):
        raise FormatError("an irrep's traces are not those of its matrices")
    return found
