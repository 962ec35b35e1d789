"""Names of the irreps of SO(p, q), SO(1, 3), O(1, 3) and O(1, 1), with signs of components."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from intertwine.errors import InvalidRep
from intertwine.groups import Group, parse_group
from intertwine.irreps import Irrep, clebsch_gordan, decompose, irrep_named
from intertwine.reps import Rep, Sign, V

GROUPS = ("SO(1,2)", "SO(2,2)", "SO(4,1)", "SO(3,3)", "SO(1,1)", "SO13", "O13", "O11")


def signed(group: Group, signs: tuple[int, ...]) -> Rep:
    """The rep of dimension one with a sign for each discrete generator."""
    lie = [np.zeros((1, 1))] * len(group.lie_generators)
    return Rep.from_generators(group, [np.array([[float(s)]]) for s in signs], lie=lie)


@pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.sampled(9)
def test_names_are_distinct_and_find_their_irreps(name: str, is_complex: bool) -> None:
    group = parse_group(name)
    found: dict[str, Irrep] = {}
    count = len(group.group_generators)
    reps = [signed(group, signs) * (V + 1)(group) for signs in product((1, -1), repeat=count)]
    for rep in [*reps, (V**2)(group)]:
        for irrep in decompose(rep, is_complex=is_complex).multiplicities:
            assert found.setdefault(irrep.label, irrep) == irrep
            assert not irrep.label.startswith("W")
    assert len(set(found.values())) == len(found)
    for label, irrep in found.items():
        assert irrep_named(label, group, is_complex=is_complex) == irrep


class TestTheLorentzGroup:
    def test_tensors_have_no_signs(self) -> None:
        for name in ("SO13", "O13"):
            labels = [i.label for i in decompose((V**2)(parse_group(name))).multiplicities]
            assert sorted(labels) == ["(0, 0)", "(1, 0)+(0, 1)", "(1, 1)"]

    def test_pseudoscalars_and_axial_vectors_have(self) -> None:
        group = parse_group("O13")
        (pseudo,) = decompose(Sign(group)).multiplicities
        assert pseudo.label == "(0, 0) P=- T=-"
        (axial,) = decompose((Sign * V)(group)).multiplicities
        assert axial.label == "(1/2, 1/2) P=- T=-"
        found = clebsch_gordan(pseudo, Irrep("(1, 0)+(0, 1)", group))
        assert [i.label for i in found] == ["(1, 0)+(0, 1)"]  # the dual of F is of its kind

    def test_each_generator_has_its_sign(self) -> None:
        group = parse_group("O13")
        inversion, reversal = signed(group, (-1, 1)), signed(group, (1, -1))
        labels = {
            rep: next(iter(decompose(rep).multiplicities)).label for rep in (inversion, reversal)
        }
        assert labels == {inversion: "(0, 0) P=-", reversal: "(0, 0) P=- T=-"}
        both = signed(group, (-1, -1)) * V(group)
        assert [i.label for i in decompose(both).multiplicities] == ["(1/2, 1/2) T=-"]

    @pytest.mark.slow
    def test_over_the_complex_numbers_reflections_keep_pairs_together(self) -> None:
        assert irrep_named("(1, 0)", parse_group("O13"), is_complex=True).size() == 6
        assert irrep_named("(1, 0)", parse_group("SO13"), is_complex=True).size() == 3

    @pytest.mark.parametrize("name", ["(1, 0) P=-", "(0, 0) PT=-", "(0, 0) Q=-", "(1/2, 0)"])
    def test_other_signs_are_refused(self, name: str) -> None:
        with pytest.raises(InvalidRep, match=r"not the name of an irrep .* such as \(1/2, 1/2\)"):
            Irrep(name, parse_group("O13"))


class TestPseudoRotations:
    @pytest.mark.slow
    def test_have_the_dimensions_of_rotations(self) -> None:
        for name, size in {"[1]": 5, "[1, 1]": 10, "[2]": 14}.items():
            assert Irrep(name, parse_group("SO(4,1)")).size() == size
        assert Irrep("l=2", parse_group("SO(1,2)")).size() == 5

    @pytest.mark.slow
    def test_are_paired_over_the_reals_if_p_minus_q_is_two_modulo_four(self) -> None:
        assert Irrep("[1, 1]", parse_group("SO(2,2)")).size() == 3
        assert Irrep("[1, 1]", parse_group("SO(3,1)")).size() == 6
        assert Irrep("[1, 1]", parse_group("SO(3,1)")).label == "[1, ±1]"

    @pytest.mark.slow
    def test_another_sign_of_the_second_component_is_named(self) -> None:
        for name in ("SO(1,2)", "SO(2,2)", "SO(3,3)"):
            group = parse_group(name)
            (irrep,) = decompose(signed(group, (-1,)) * V(group)).multiplicities
            assert irrep.label == ("l=1 PT=-" if group.d == 3 else "[1] PT=-")
            assert Irrep(irrep.label, group) == irrep
