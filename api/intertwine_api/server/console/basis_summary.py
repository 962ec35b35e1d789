"""A basis in words: its evidence, its structure, and the code that finds it elsewhere."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from intertwine.bases import (
    Basis,
    Combined,
    EqualityPatterns,
    Intertwiners,
    KroneckerStorage,
    Orbits,
    Permuted,
    Storage,
    Sum,
)

from intertwine_api.server.console.question import Question
from intertwine_api.wire.bases import BasisCertificate

MOST_DECOMPOSED = 1_000
"""The most coordinates of a rep that pages decompose without a click; more can take minutes."""
_MOST_LINES = 12
_LONGEST = 4_000  # characters of generators that are repeated in a command


def evidence(certificate: BasisCertificate) -> list[str]:
    """Return what the certificate of a basis says, in sentences."""
    found = [
        f"The method {certificate.method} computed it with {certificate.backend} on "
        f"{certificate.device} in {certificate.seconds:.2g} s.",
        f"Each generator was applied to every basis vector: the largest change is "
        f"{certificate.residual:.1e}, relative to the generator.",
        f"The basis is orthonormal up to {certificate.orthonormality:.1e}.",
    ]
    if certificate.kind == "approximate" and certificate.tolerance is not None:
        found.append(f"It is approximate, up to a tolerance of {certificate.tolerance:g}.")
    if certificate.gap is not None:
        found.append(
            f"No singular value is near the boundary between zero and nonzero: the smallest that "
            f"counts as nonzero is {certificate.gap:.1e} times the largest that counts as zero."
        )
    else:
        found.append(
            "No singular value decides the rank: it was counted without them, or all of them are "
            "clearly zero, or all are clearly nonzero."
        )
    if certificate.rank_bound is not None:
        found.append(
            f"In exact arithmetic there are at most {certificate.rank_bound:,} invariants."
        )
    return [*found, *(f"Note: {note}." for note in certificate.notes)]


@dataclass(frozen=True)
class Part:
    """A term of the rep, and how its invariants were found."""

    rep: str
    size: int
    rank: int
    method: str


def parts_of(certificate: BasisCertificate) -> list[Part]:
    """Return the first few different terms of the rep that were solved separately."""
    parts = (certificate.model_extra or {}).get("parts") or {}
    return [
        Part(name, part["size"], part["rank"], part["method"])
        for name, part in list(parts.items())[:_MOST_LINES]
    ]


def structure(basis: Basis) -> list[str]:
    """Return how the basis is stored, in sentences: its orbits, blocks and factors."""
    return list(_structure(basis.storage))[:_MOST_LINES]


def _structure(storage: Storage) -> Iterator[str]:
    match storage:
        case Permuted():
            yield from _structure(storage.inner)
        case Orbits():
            yield _orbits(storage)
        case EqualityPatterns():
            yield (
                f"The {_count(storage.shape[1], 'pattern')} of equal indices among "
                f"{_count(storage.slots, 'index', 'indices')} from 1 to {storage.size:,}: each "
                f"basis vector is constant on the tuples of one pattern."
            )
        case Sum():
            blocks = ", ".join(
                f"{multiplicity} × ({block.shape[0]:,} × {block.shape[1]:,})"
                for multiplicity, block in storage.blocks[:_MOST_LINES]
            )
            yield f"Block-diagonal, with blocks (coordinates × invariants) {blocks}."
            for _, block in storage.blocks:
                yield from _structure(block)
        case KroneckerStorage():
            yield (
                f"The Kronecker product of {_count(len(storage.factors), 'basis', 'bases')}, over "
                f"different groups."
            )
            for factor in storage.factors:
                yield from _structure(factor)
        case Intertwiners():
            yield (
                f"By Schur's lemma: the indices are split into two halves, which have "
                f"{_count(len(storage.endomorphisms), 'irrep')} in common."
            )
        case Combined():
            yield "Combinations of the invariants of a larger basis."
            yield from _structure(storage.inner)
        case _:
            size, rank = storage.shape
            yield f"A matrix of {size:,} × {rank:,} entries, without further structure."


def _orbits(storage: Orbits) -> str:
    sizes = np.bincount(storage.labels[storage.labels >= 0], minlength=storage.shape[1])
    vanishing = int(np.count_nonzero(storage.labels < 0))
    least, most = int(sizes.min(initial=storage.shape[0])), int(sizes.max(initial=0))
    lengths = _count(most, "coordinate") if least == most else f"{least:,} to {most:,} coordinates"
    if not storage.shape[1]:
        return "No orbits: every coordinate of an invariant is zero."
    signs = " up to sign" if storage.signs is not None else ""
    verb = "is" if vanishing == 1 else "are"
    zero = f"; {_count(vanishing, 'coordinate')} {verb} always zero" if vanishing else ""
    return (
        f"{_count(storage.shape[1], 'orbit')} of {lengths}: each basis vector is "
        f"constant{signs} on one orbit{zero}."
    )


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


@dataclass(frozen=True)
class Snippet:
    """Code that finds the basis elsewhere; `name` is where it runs, `note` what it needs."""

    name: str
    code: str
    note: str = ""


_IN_PYTORCH = (
    "Q = torch.from_numpy(Q.dense())  # float64, one column an invariant",
    "parameters = torch.nn.Parameter(torch.randn(Q.shape[1], dtype=Q.dtype))",
    "x = Q @ parameters  # any invariant, with gradients",
)
_FILE = "Save the generators as group.json first."


def snippets(question: Question, address: str, has_key: bool) -> list[Snippet]:
    """Return the same solve in Python and PyTorch, from the shell, and over HTTP.

    `address` is that of the service; with `has_key`, its callers need a key. Texts are quoted for
    the language that they stand in.
    """
    group, lines = "", ["from intertwine.reps import read_rep"]
    if question.generators:
        lines = ["import json", *lines, "", 'group = json.load(open("group.json"))']
        group = ", group"
    elif question.group:
        group = f", {question.group!r}"
    lines += ["", f"Q = read_rep({question.rep!r}{group}).equivariant_basis()"]
    note = _FILE if question.generators else ""
    found = [Snippet("Python", "\n".join([*lines, "print(Q.shape, Q.certificate)"]), note)]
    found.append(Snippet("PyTorch", "\n".join(["import torch", *lines, *_IN_PYTORCH]), note))
    option = ""
    if question.generators:
        option = " --generators group.json"
    elif question.group:
        option = f" --group {shlex.quote(question.group)}"
    command = f"intertwine basis{option} -o basis.safetensors -- {shlex.quote(question.rep)}"
    found.append(Snippet("Command line", command, note))
    if len(question.generators) <= _LONGEST:
        found.append(Snippet("curl", _curl(question, address, has_key)))
    return found


def _curl(question: Question, address: str, has_key: bool) -> str:
    document: dict[str, object] = {"rep": question.rep}
    if question.generators:
        document["group"] = json.loads(question.generators)
    elif question.group:
        document["group"] = question.group
    body = json.dumps(document, ensure_ascii=False)
    return (
        f"curl -s {shlex.quote(address + 'v1/bases')} \\\n"
        f"{key_option(has_key)}  -H 'content-type: application/json' \\\n"
        f"  -d {shlex.quote(body)}"
    )


def key_option(has_key: bool) -> str:
    """Return the line of a curl command that sends the key; empty for a service without keys."""
    return '  -H "authorization: Bearer $INTERTWINE_KEY" \\\n' if has_key else ""
