"""`intertwine basis`: solve for the equivariant basis of a rep."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine.bases import Basis, Certificate
    from intertwine.reps import Rep


_EXAMPLES = """\
  intertwine basis "V**2*V.T+5V0" --group "SO(3)"
  intertwine basis "V>>V**2" --group "SO(3)" -o basis.safetensors
  intertwine basis "T(2,2)" --group SO13p --method krylov --backend jax
  intertwine basis "2V(Z(3))*V(S(4)) + V(O(3))**2" --json
  intertwine basis "V**2" --generators group.json
  intertwine basis "V**4" --group "SO(3)" --prove
  intertwine basis "V**2" --generators group.json --refine
  intertwine basis "V**2" --generators group.json --tolerance 5e-3
"""


def add_to(commands: Any) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands, "basis", "Find the equivariant basis of a rep, and prove it.", _EXAMPLES
    )
    common.add_rep(parser)
    parser.add_argument(
        "--method", default="auto", help="auto (default), orbits, irreps, svd or krylov"
    )
    parser.add_argument("--backend", default="auto", help="auto (default), numpy or jax")
    parser.add_argument(
        "--tolerance",
        metavar="TOL",
        type=float,
        help="find what is equivariant up to this part of the generators' norms, such as 5e-3: for "
        "generators that were learned from data",
    )
    parser.add_argument("--device", help="for jax: cpu, gpu, gpu:1, ...")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="write the basis to FILE.safetensors, or its dense matrix to FILE.npy or FILE.npz",
    )
    parser.add_argument(
        "--no-cache", action="store_true", help="solve, whatever the store has, and keep nothing"
    )
    parser.add_argument(
        "--prove",
        action="store_true",
        help="bound the rank from above by exact arithmetic modulo a prime, too",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Solve, write, and print."""
    from intertwine.bases import check_suffix, save_basis
    from intertwine.errors import InvalidSetting, NotConcrete

    rep = common.read_rep(arguments)
    if not rep.is_concrete:
        raise NotConcrete(
            f"{rep} has no group: give --group 'SO(3)', or write V(SO(3)) in the text"
        )
    if arguments.output is not None:
        check_suffix(arguments.output)
        if not arguments.output.absolute().parent.is_dir():
            raise FileNotFoundError(f"there is no folder {arguments.output.absolute().parent}")
        if arguments.output.is_dir():
            raise IsADirectoryError(f"{arguments.output} is a folder")
    if arguments.prove and arguments.tolerance is not None:
        raise InvalidSetting("--prove bounds exact ranks: leave out --tolerance, or --prove")
    basis = rep.equivariant_basis(
        method=arguments.method,
        backend=arguments.backend,
        device=arguments.device,
        store=not arguments.no_cache,
        tolerance=arguments.tolerance,
    )
    if arguments.prove:
        from intertwine.exact import prove

        basis = prove(rep, basis)
    if arguments.output is not None:
        save_basis(basis, arguments.output)
    if arguments.json:
        common.print_json(
            describe(rep, basis, arguments.method, arguments.backend, arguments.tolerance)
        )
    else:
        _print(rep, basis, arguments.output)
        if arguments.prove:
            print(f"\n{_verdict(basis.certificate)}")
    return 0


def _verdict(certificate: Certificate) -> str:
    most = f"{certificate.rank_bound:,} invariants"
    if certificate.is_proven:
        return f"proven: in exact arithmetic there are at most {most}"
    return f"not proven: the bound in exact arithmetic is {most}"


def describe(
    rep: Rep, basis: Basis, method: str, backend: str, tolerance: float | None = None
) -> dict[str, Any]:
    """The basis as one JSON object: what was asked for, what was found, and the evidence."""
    from intertwine.reps import basis_key, canonical

    certificate = basis.certificate.to_json()
    evidence = ["residual", "orthonormality", "gap", "iterations", "seconds", "notes"]
    if tolerance is not None:
        evidence += ["kind", "tolerance", "kept_values", "dropped_values"]
    return {
        "key": basis_key(rep, method, backend, tolerance),
        "group": common.group_text(rep),
        "rep": str(rep),
        "canonical": str(canonical(rep).rep),
        "size": basis.shape[0],
        "rank": basis.rank,
        "method": certificate["method"],
        "backend": certificate["backend"],
        "device": certificate["device"],
        **{name: certificate[name] for name in evidence},
        "bytes": basis.nbytes,
        "cached": basis.cached,
    }


def _print(rep: Rep, basis: Basis, output: Path | None) -> None:
    import numpy as np

    known = ", from the cache" if basis.cached else ""
    invariants = "1 invariant" if basis.rank == 1 else f"{basis.rank:,} invariants"
    print(f"{rep!r}: {invariants} in {basis.shape[0]:,} dimensions{known}\n")
    print(basis.certificate)
    if basis.rank and basis.dense_bytes <= 8 * 100 * 20:
        with np.printoptions(precision=4, suppress=True, linewidth=100, threshold=200):
            print(f"\n{basis.dense()}")
    if output is not None:
        print(f"\nwritten to {output}")
