"""Reps made of another rep by a functor on matrices: ρ(g) ↦ F(ρ(g)), with F(MN) = F(M)F(N).

=============================  ===========================================================
`Sym(k, R)`, `Alt(k, R)`       symmetric and alternating powers, in orthonormal bases
`Schur(λ, R)`                  tensors with the symmetry of a Young diagram λ
`Indexed(R, "ij=ji")`          tensors with a symmetry of their indices
`Det(R)`                       g ↦ det ρ(g)
`Conj(R)`                      g ↦ the complex conjugate of ρ(g)
`Sign`                         the determinant of V, over groups where it is ±1
=============================  ===========================================================

Each F satisfies F(Mᵀ) = F(M)ᵀ: the dual of F(ρ) is F(ρ*), and F(ρ) is orthogonal if ρ is.
"""
