"""Clebsch–Gordan coefficients in e3nn's gauge: published values, laws, and text."""

from __future__ import annotations

import copy
from fractions import Fraction

import numpy as np
import pytest
from intertwine.errors import InvalidRep, InvalidSetting
from intertwine.groups import SO, SU, O
from intertwine.irreps import Irrep, SphericalHarmonics, clebsch_gordan
from intertwine.irreps.surds import number_text, root_of_rational, root_text
from intertwine.reps import V


class TestValues:
    def test_of_two_vectors(self) -> None:
        vector = Irrep("1o", O(3))
        found = {irrep.label: maps for irrep, maps in
                 clebsch_gordan(vector, vector, gauge="e3nn").items()}  # fmt: skip
        scalar, axial = found["0e"][:, :, 0, 0], found["1e"][:, :, 0]
        np.testing.assert_allclose(np.abs(scalar), np.eye(3) / np.sqrt(3), atol=1e-14)
        epsilon = np.cross(np.eye(3)[:, None], np.eye(3)[None]) / np.sqrt(2)
        np.testing.assert_allclose(axial * np.sign(axial[0, 1, 2]), epsilon, atol=1e-14)

    @pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 2), (2, 2)])
    def test_products_of_harmonics_are_harmonics(self, a: int, b: int) -> None:
        left, right = (Irrep(f"l={degree}", SO(3)) for degree in (a, b))
        point = np.array([0.2, 0.9, -0.4])
        for irrep, maps in clebsch_gordan(left, right, gauge="e3nn").items():
            degree = (irrep.size() - 1) // 2
            both = [SphericalHarmonics(k)(point) for k in (a, b)]
            product = np.einsum("i,j,ijmk->k", *both, maps)
            harmonics = SphericalHarmonics(degree)(point)
            along = product @ harmonics / (harmonics @ harmonics)
            np.testing.assert_allclose(product, along * harmonics, atol=1e-12)
            assert (abs(along) > 1e-3) == ((a + b + degree) % 2 == 0)

    @pytest.mark.parametrize("names", [("l=1", "l=2"), ("l=2", "l=2")])
    def test_squares_are_rational(self, names: tuple[str, str]) -> None:
        a, b = (Irrep(name, SO(3)) for name in names)
        for maps in clebsch_gordan(a, b, gauge="e3nn").values():
            assert all(root_of_rational(float(x)) is not None for x in maps.ravel())

    def test_of_spins_they_are_those_of_rotations_up_to_sign(self) -> None:
        spin, vector = Irrep("j=1", SU(2)), Irrep("l=1", SO(3))
        of_spins, of_vectors = (clebsch_gordan(a, a, gauge="e3nn") for a in (spin, vector))
        known = {irrep.size(): maps for irrep, maps in of_vectors.items()}
        for irrep, maps in of_spins.items():
            sign = np.sign(np.sum(maps.real * known[irrep.size()]))
            np.testing.assert_allclose(maps, sign * known[irrep.size()], atol=1e-12)

    def test_other_reps_than_irreps_are_refused(self) -> None:
        for wrong in ("l=1", V(SO(3)), Irrep("l=1")):
            with pytest.raises(InvalidRep, match=r"Irrep\(\"l=1\", SO\(3\)\)"):
                clebsch_gordan(wrong, wrong)  # type: ignore[arg-type]

    def test_equivariance_in_the_gauge(self) -> None:
        a, b, g = Irrep("1o", O(3)), Irrep("2e", O(3)), O(3).sample(5)

        def image(irrep: Irrep) -> np.ndarray:
            change = irrep.to_e3nn()
            return change @ np.asarray(irrep.rho(g)) @ change.T

        for irrep, maps in clebsch_gordan(a, b, gauge="e3nn").items():
            moved = np.einsum("ia,jb,abmk->ijmk", image(a), image(b), maps)
            np.testing.assert_allclose(moved, maps @ image(irrep), atol=1e-12)


class TestText:
    def test_of_a_table(self) -> None:
        found = clebsch_gordan(*[Irrep("1o", O(3))] * 2, gauge="e3nn")
        assert repr(found) == "<Clebsch–Gordan coefficients of O(3): 1o ⊗ 1o = 0e + 1e + 2e>"
        lines = str(found).splitlines()
        assert lines[0].split() == ["in", "1o", "at", "1o", "at", "at", "coefficient"]
        assert len(lines) == 1 + 3 + 6 + 11
        assert [line.split()[-1] for line in lines[10:12]] == ["√2/2", "√2/2"]
        assert {line.split()[-1].lstrip("-") for line in lines[1:]} == {
            "√3/3", "√2/2", "√6/6", "√6/3",
        }  # fmt: skip
        assert found._repr_html_().count("<tr>") == len(lines)

    def test_it_is_a_mapping(self) -> None:
        found = clebsch_gordan(*[Irrep("j=1/2", SU(2))] * 2)
        assert isinstance(found, dict)
        assert sum(maps.shape[3] for maps in found.values()) == 4
        assert copy.copy(found).keys() == found.keys()

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (0.5, "1/2"), (-np.sqrt(30) / 10, "-√30/10"), (1e-16, "0"), (1.0, "1"), (2.0, "2"),
            (np.sqrt(2) * 1j, "√2i"), (-1j, "-i"), (0.5 - 0.5j, "1/2-1/2i"), (np.pi / 7, "0.4488"),
            (3 * np.sqrt(70) / 35, "3√70/35"),
        ],
    )  # fmt: skip
    def test_of_numbers(self, value: complex, text: str) -> None:
        assert number_text(complex(value)) == text

    def test_of_roots(self) -> None:
        assert root_text(Fraction(8, 9)) == "2√2/3"
        assert root_of_rational(-np.sqrt(2 / 3)) == Fraction(-2, 3)
        random = np.random.default_rng(1).random(2_000)
        assert sum(root_of_rational(float(x)) is not None for x in random) == 0

    def test_other_gauges_are_refused(self) -> None:
        with pytest.raises(InvalidSetting, match="own, e3nn"):
            clebsch_gordan(*[Irrep("1o", O(3))] * 2, gauge="condon")
