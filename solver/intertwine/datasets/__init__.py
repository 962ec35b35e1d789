"""The tasks of Finzi, Welling and Wilson (2021), generated from a seed, and batches of them.

Importing this loads neither JAX nor matplotlib. Data are NumPy arrays, which every library accepts.
"""

from intertwine.datasets.broken_rubiks_cube import BrokenRubiksCube
from intertwine.datasets.dataset import Dataset
from intertwine.datasets.double_spring_pendulum import DoubleSpringPendulum
from intertwine.datasets.inertia import Inertia
from intertwine.datasets.inverted_cube import InvertedCube
from intertwine.datasets.loader import Loader
from intertwine.datasets.o5_synthetic import O5Synthetic
from intertwine.datasets.particle_interaction import ParticleInteraction
from intertwine.datasets.standardisation import Stats

__all__ = [
    "BrokenRubiksCube",
    "Dataset",
    "DoubleSpringPendulum",
    "Inertia",
    "InvertedCube",
    "Loader",
    "O5Synthetic",
    "ParticleInteraction",
    "Stats",
]
