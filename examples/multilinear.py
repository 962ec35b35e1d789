"""Find bilinear maps R₁ × R₂ → R₃ as the linear maps R₁ → (R₂ → R₃).

This is EMLP's page "Multilinear maps" as a program. The linear maps between two representations
form a representation, ``R2 >> R3``, and the maps from R₁ to it are solved like any others.

    python examples/multilinear.py
"""

from __future__ import annotations

import argparse

import numpy as np
from intertwine.groups import SO, Group
from intertwine.reps import Rep, V, sparsify_basis


def main() -> None:
    """Solve for bilinear maps, apply one, and print the well-known ones."""
    parser = argparse.ArgumentParser(description="Find all equivariant maps of two arguments.")
    parser.add_argument("--seed", type=int, default=0, help="seed of the map and vectors")
    rng = np.random.default_rng(parser.parse_args().seed)

    G = SO(4)
    W = V(G)
    R1 = 3 * W + W**2
    R2 = W.T + W**0
    R3 = W**0 + W**2 + W
    Q = (R1 >> (R2 >> R3)).equivariant_basis()
    print(f"From ({R1}) × ({R2}) to {R3} over {G}: a basis of shape {Q.shape}")
    print(f"The other arrow reads like the axes: {(R3 << R2 << R1) == (R1 >> (R2 >> R3))}")

    bilinear = (Q @ rng.standard_normal(Q.rank)).reshape(R3.size(), R2.size(), R1.size())
    error = equivariance_error(bilinear, R1, R2, R3, G, rng)
    print(f"A random one is equivariant, with a relative error of {error:.1e}")

    print("\nBilinear maps of two vectors to a scalar, xᵀBy:")
    for n in (2, 3):
        forms = sparsify_basis((V >> (V >> V**0))(SO(n))).T.reshape(-1, n, n)
        print(f"  over SO({n})  B = {' or '.join(str(B.astype(int).tolist()) for B in forms)}")

    (product,) = sparsify_basis((V >> (V >> V))(SO(3))).T.reshape(-1, 3, 3, 3)
    x, y = rng.standard_normal((2, 3))
    multiples = np.einsum("ijk,j,k", product, y, x) / np.cross(x, y)
    print(f"\nThe one product of vectors over SO(3) is {multiples.mean():+.6f} x × y")


def equivariance_error(
    bilinear: np.ndarray, R1: Rep, R2: Rep, R3: Rep, G: Group, rng: np.random.Generator
) -> float:
    """How far B(ρ₁(g)x₁, ρ₂(g)x₂) is from ρ₃(g)B(x₁, x₂), relative to both."""
    x1, x2 = rng.standard_normal(R1.size()), rng.standard_normal(R2.size())
    g = G.sample()
    before = np.einsum("ijk,j,k", bilinear, R2.rho(g) @ x2, R1.rho(g) @ x1)
    after = R3.rho(g) @ np.einsum("ijk,j,k", bilinear, x2, x1)
    size = np.linalg.norm
    return float(size(before - after) / (size(before) + size(after)))


if __name__ == "__main__":
    main()
