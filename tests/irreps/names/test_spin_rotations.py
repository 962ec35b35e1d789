"""Names of the irreps of the spin groups: integral and half-integral weights."""

from __future__ import annotations

from math import comb

import pytest
from intertwine.errors import InvalidRep
from intertwine.groups import Spin
from intertwine.irreps import Irrep, clebsch_gordan, decompose
from intertwine.reps import V


@pytest.mark.parametrize(
    "n", [2, 3, 4, pytest.param(5, marks=pytest.mark.slow), pytest.param(6, marks=pytest.mark.slow)]
)
def test_names_are_distinct_and_find_their_irreps(n: int) -> None:
    irreps = list(decompose((V + V**2 + V * V.T)(Spin(n))).multiplicities)
    labels = [irrep.label for irrep in irreps]
    assert len(set(labels)) == len(labels)
    assert [Irrep(label, Spin(n)) for label in labels] == irreps


class TestDimensionsArePublished:
    @pytest.mark.parametrize("n", [5, pytest.param(6, marks=pytest.mark.slow),
                                   pytest.param(7, marks=pytest.mark.slow)])  # fmt: skip
    def test_of_spinors_and_tensors(self, n: int) -> None:
        half = ", ".join(["1/2"] * (n // 2))
        assert Irrep(f"[{half}]", Spin(n)).size() == 2 ** ((n - 1) // 2)
        assert Irrep("[1]", Spin(n)).size() == n
        assert Irrep("[1, 1]", Spin(n)).size() == comb(n, 2)

    @pytest.mark.slow
    def test_of_a_vector_spinor(self) -> None:
        assert Irrep("[3/2, 1/2]", Spin(5)).size() == 16

    def test_of_spin_3(self) -> None:
        for twice in range(5):
            assert Irrep(f"j={twice}/2", Spin(3)).size() == twice + 1
        assert Irrep("3/2", Spin(3)).label == "j=3/2"

    def test_chiralities_are_named(self) -> None:
        both = [i.label for i in decompose(V(Spin(4))).multiplicities]
        assert sorted(both) == ["[1/2, -1/2]", "[1/2, 1/2]"]
        found = clebsch_gordan(Irrep(both[0], Spin(4)), Irrep(both[1], Spin(4)))
        assert [i.label for i in found] == ["[1]"]


@pytest.mark.parametrize("name", ["[1/2, 1]", "[1/2]", "[0, 1]", "[1/2, 1/2, 1/2]", "[1/3, 1/3]"])
def test_other_weights_are_refused(name: str) -> None:
    with pytest.raises(InvalidRep, match=r"names such as \[1/2, 1/2\]"):
        Irrep(name, Spin(5))
