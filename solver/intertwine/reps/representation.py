"""EMLP's address of the classes of reps, for code that was written for it."""

from intertwine.reps.syntax import Base, Dual, Rep, Scalar, ScalarRep, T, V, Vector

__all__ = ["Base", "Dual", "Rep", "Scalar", "ScalarRep", "T", "V", "Vector"]
