"""The built-in datasets are as described."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from intertwine import datasets
from intertwine.errors import TooLarge
from intertwine.groups import parse_group
from intertwine.reps import parse
from intertwine.training.recipe.built_in import describe_builtin, make_builtin
from intertwine.training.recipe.description import BuiltIn, BuiltInName

NAMES = get_args(BuiltInName)


def asked(name: str, size: int = 4, seed: int = 0) -> BuiltIn:
    return BuiltIn.model_validate({"name": name, "size": size, "seed": seed})


def test_all_datasets_can_be_requested() -> None:
    own = {"Dataset", "Loader", "Stats"}
    assert set(NAMES) == set(datasets.__all__) - own


@pytest.mark.parametrize("name", NAMES)
class TestEach:
    def test_its_info_matches_its_samples(self, name: str) -> None:
        stored, (points, _) = describe_builtin(asked(name)), make_builtin(asked(name))
        inputs, targets = points.facts
        assert (stored.inputs, stored.samples) == (inputs, 4)
        assert stored.targets == targets

    def test_its_group_and_reps_are_those_of_the_library(self, name: str) -> None:
        data = getattr(datasets, name)(n=4)
        stored = describe_builtin(asked(name))
        assert isinstance(stored.group, str)
        assert parse_group(stored.group) == data.symmetry
        assert stored.rep_in is not None
        assert stored.rep_out is not None
        assert parse(stored.rep_in)(data.symmetry) == data.rep_in(data.symmetry)
        assert parse(stored.rep_out)(data.symmetry) == data.rep_out(data.symmetry)

    def test_equal_requests_have_equal_samples(self, name: str) -> None:
        assert make_builtin(asked(name))[0].digest == make_builtin(asked(name))[0].digest

    def test_another_seed_has_other_samples(self, name: str) -> None:
        tested = [make_builtin(asked(name, seed=seed)) for seed in (0, 1)]
        digests = {(own or points).digest for points, own in tested}
        assert len(digests) == 2


def test_the_cubes_are_tested_in_other_orientations() -> None:
    for name, n in (("InvertedCube", 100), ("BrokenRubiksCube", 440)):
        train, test = make_builtin(asked(name, 22))
        assert test is not None
        assert (len(train), len(test)) == (22, n)
        assert len(np.unique(test.X, axis=0)) > len(np.unique(train.X, axis=0))


def test_the_pendulum_s_targets_are_its_energies() -> None:
    points, own = make_builtin(asked("DoubleSpringPendulum", 6))
    data = datasets.DoubleSpringPendulum(6)
    assert own is None
    assert np.allclose(points.Y[:, 0], data.hamiltonian(data.X), rtol=1e-5)


def test_the_cost_of_generation_is_bounded() -> None:
    with pytest.raises(TooLarge, match="DoubleSpringPendulum has at most 10,000 samples"):
        describe_builtin(asked("DoubleSpringPendulum", 10_001))
