"""`intertwine basis`: solve for the equivariant basis of a rep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intertwine_api.cli import common

if TYPE_CHECKING:
    from intertwine.bases import Basis, Certificate
    from intertwine.reps import Rep
    from intertwine.vis import TensorTable


_EXAMPLES = """\
  intertwine basis "V**2*V.T+5V0" --group "SO(3)"
  intertwine basis "V>>V**2" --group "SO(3)" -o basis.safetensors
  intertwine basis "T(2,2)" --group SO13p --method krylov --backend jax
  intertwine basis "2V(Z(3))*V(S(4)) + V(O(3))**2" --json
  intertwine basis "V**2" --generators group.json
  intertwine basis "V**4" --group "SO(3)" --prove
  intertwine basis 'Indexed(V, "ijkl=jikl=klij")' --group "PointGroup(m-3m)" --matrix
  intertwine basis "V**2" --generators group.json --refine
  intertwine basis "V**2" --generators group.json --tolerance 5e-3
"""


@click.command("basis", epilog=common.examples(_EXAMPLES))
@common.with_rep
@click.option("--method", default="auto", help="auto (default), orbits, irreps, svd or krylov.")
@click.option("--backend", default="auto", help="auto (default), numpy or jax.")
@click.option(
    "--tolerance",
    metavar="TOL",
    type=float,
    help="Accept vectors that are equivariant up to this fraction of the generators' norms, such "
    "as 5e-3: for generators that were learned from data.",
)
@click.option("--device", help="The device of JAX: cpu, gpu, gpu:1, ...")
@click.option(
    *("-o", "--output"),
    metavar="FILE",
    type=common.PATH,
    help="Write the basis to FILE.safetensors, or its dense matrix to FILE.npy or FILE.npz.",
)
@click.option("--no-cache", is_flag=True, help="Neither read the store of bases nor write to it.")
@click.option(
    "--prove",
    is_flag=True,
    help="Also bound the rank from above, by exact arithmetic modulo a prime.",
)
@click.option(
    "--matrix",
    is_flag=True,
    help="Print the general invariant as a matrix of letters, as tables of crystals do.",
)
@common.as_json
def solve(
    rep: Rep,
    method: str,
    backend: str,
    tolerance: float | None,
    device: str | None,
    output: Path | None,
    no_cache: bool,
    prove: bool,
    matrix: bool,
    as_json: bool,
) -> None:
    """Find the equivariant basis of a rep, and prove it."""
    from intertwine.bases import check_suffix, save_basis
    from intertwine.errors import InvalidSetting, NotConcrete

    if not rep.is_concrete:
        raise NotConcrete(
            f"{rep} has no group: give --group 'SO(3)', or write V(SO(3)) in the text"
        )
    if output is not None:
        check_suffix(output)
        if not output.absolute().parent.is_dir():
            raise FileNotFoundError(f"there is no folder {output.absolute().parent}")
        if output.is_dir():
            raise IsADirectoryError(f"{output} is a folder")
    if prove and tolerance is not None:
        raise InvalidSetting("--prove bounds exact ranks: leave out --tolerance, or --prove")
    if matrix:
        from intertwine.vis.tables import table_entries

        table_entries(rep)  # refuses large tables before the solve
    basis = rep.equivariant_basis(
        method=method, backend=backend, device=device, store=not no_cache, tolerance=tolerance
    )
    if prove:
        from intertwine.exact import prove as prove_rank

        basis = prove_rank(rep, basis)
    table = None
    if matrix:
        from intertwine.vis import tensor_table

        table = tensor_table(rep, basis)
    if output is not None:
        save_basis(basis, output)
    if as_json:
        letters = {} if table is None else {"matrix": table.to_json()}
        common.print_json({**describe(rep, basis, method, backend, tolerance), **letters})
    else:
        _print(rep, basis, output, table)
        if prove:
            print(f"\n{_verdict(basis.certificate)}")


def _verdict(certificate: Certificate) -> str:
    most = f"{certificate.rank_bound:,} invariants"
    if certificate.is_proven:
        return f"proven: in exact arithmetic there are at most {most}"
    return f"not proven: the bound in exact arithmetic is {most}"


def describe(
    rep: Rep, basis: Basis, method: str, backend: str, tolerance: float | None = None
) -> dict[str, Any]:
    """Return the basis as a JSON object: the request, the result and the evidence."""
    from intertwine.reps import basis_key, canonical

    certificate = basis.certificate.to_json()
    evidence = ["residual", "orthonormality", "gap", "iterations", "seconds", "notes"]
    if tolerance is not None:
        evidence += ["kind", "tolerance", "kept_values", "dropped_values"]
    return {
        "key": basis_key(rep, method, backend, tolerance),
        "group": None if rep.G is None else repr(rep.G),
        "rep": str(rep),
        "canonical": str(canonical(rep).rep),
        "size": basis.shape[0],
        "rank": basis.rank,
        "method": certificate["method"],
        "backend": certificate["backend"],
        "device": certificate["device"],
        **{name: certificate[name] for name in evidence},
        "bytes": basis.nbytes,
        "cached": bool(basis.cached),
    }


def _print(rep: Rep, basis: Basis, output: Path | None, table: TensorTable | None) -> None:
    import numpy as np

    known = f", from {basis.cached}" if basis.cached else ""
    invariants = "1 invariant" if basis.rank == 1 else f"{basis.rank:,} invariants"
    print(f"{rep!r}: {invariants} in {basis.shape[0]:,} dimensions{known}\n")
    print(basis.certificate)
    if table is not None:
        print(f"\n{table}")
    elif basis.rank and basis.dense_bytes <= 8 * 100 * 20:
        with np.printoptions(precision=4, suppress=True, linewidth=100, threshold=200):
            print(f"\n{basis.dense()}")
    if output is not None:
        print(f"\nwritten to {output}")
