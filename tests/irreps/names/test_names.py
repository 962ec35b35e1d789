"""Irreps by the names that people know: both ways, in texts, and equal to the names by digest."""

from __future__ import annotations

from math import comb, factorial, prod

import numpy as np
import pytest
from helpers.program import python
from intertwine.errors import InvalidRep, MethodNotApplicable, NotConcrete, ParseError
from intertwine.groups import SO, SU, Group, O, PointGroup, S, U, parse_group
from intertwine.irreps import Irrep, clebsch_gordan, decompose, irrep_named
from intertwine.reps import Homomorphism, Rep, T, V, parse
from intertwine.reps.key import basis_key

REPS = {
    "SO(3)": V**3, "O(3)": V**3 + V**2, "SO(2)": V**3, "O(2)": V**3 + V**2, "SU(2)": V**3 + V**2,
    "SU(3)": T(2, 1), "U(2)": T(2, 1), "U(1)": V**2 + V.T, "SO(4)": V**2, "SO(5)": V**2,
    "SO(6)": V**2, "O(4)": V**2, "O(5)": V**2, "Sp(2)": V**2, "GL(2)": T(2, 1),
    "SL(3)": T(1, 1), "SO13p": V**2, "S(4)": V**3, "Z(6)": V, "C(5)": V**2,
    "D(4)": V**2 + V, "Klein": V, "Z(3)*Z(3)": V, "Trivial(2)": V,
}  # fmt: skip

ROOTS = np.exp(2j * np.pi / np.array([6, 8]))


@pytest.mark.parametrize("is_complex", [False, True], ids=["real", "complex"])
@pytest.mark.parametrize("name", REPS)
@pytest.mark.sampled(4)
def test_labels_are_distinct_and_name_their_irreps(name: str, is_complex: bool) -> None:
    group = parse_group(name)
    if group.is_complex and not is_complex:
        pytest.skip("its tensors have no irreps over ℝ")
    irreps = list(decompose(REPS[name](group), is_complex=is_complex).multiplicities)
    labels = [irrep.label for irrep in irreps]
    assert len(set(labels)) == len(labels)
    assert not [label for label in labels if label.startswith("W")]
    for irrep, label in zip(irreps, labels, strict=True):
        assert irrep_named(label, group, is_complex=is_complex) == irrep


class TestRealRepsOfComplexGroups:
    def test_have_the_names_over_the_complex_numbers_where_these_are_real(self) -> None:
        signs = [np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])]
        bracket = [[np.asarray(A) @ s - s @ np.asarray(A) for s in signs]
                   for A in SU(2).lie_algebra]  # fmt: skip
        lie = [[[np.trace(t @ x).real / 2 for x in row] for t in signs] for row in bracket]
        vector = Homomorphism(SU(2), SO(3), lie=lie).pull_back(V)
        found = decompose(vector**2).multiplicities
        assert [irrep.label for irrep in found] == ["j=0", "j=1", "j=2"]
        assert irrep_named("j=2", SU(2), is_complex=False) in found

    def test_have_no_name_where_these_are_pairs(self) -> None:
        def pairs(x: np.ndarray) -> np.ndarray:
            return np.block([[x.real, -x.imag], [x.imag, x.real]])

        spinor = Rep.from_generators(SU(2), lie=[pairs(np.asarray(A)) for A in SU(2).lie_algebra])
        (irrep,) = decompose(spinor).multiplicities
        assert (irrep.size(), irrep.type, irrep.label) == (4, "ℍ", irrep.name)

    def test_complex_ones_are_refused_over_the_reals(self) -> None:
        with pytest.raises(InvalidRep, match="complex"):
            irrep_named("j=1/2", SU(2), is_complex=False)


class TestDimensionsArePublished:
    @pytest.mark.parametrize("degree", [0, 1, 2, 3, pytest.param(12, marks=pytest.mark.slow)])
    def test_of_rotations(self, degree: int) -> None:
        size = 2 * degree + 1
        assert Irrep(f"l={degree}", SO(3)).size() == size
        assert Irrep(f"{degree}e", O(3)).size() == Irrep(f"{degree}o", O(3)).size() == size
        assert Irrep(f"j={degree}/2", SU(2)).size() == degree + 1

    @pytest.mark.parametrize("rows", [(2,), (2, 1), pytest.param((3, 1), marks=pytest.mark.slow)])
    def test_of_linear_maps(self, rows: tuple[int, ...]) -> None:
        # the hook content formula (Stanley 1971)
        columns = [sum(row > j for row in rows) for j in range(rows[0])]
        cells = [(i, j) for i, row in enumerate(rows) for j in range(row)]
        hooks = prod(rows[i] - j + columns[j] - i - 1 for i, j in cells)
        for group in (SU(3), U(3), parse_group("SL(3)"), parse_group("GL(3)")):
            contents = prod(group.d + j - i for i, j in cells)
            assert Irrep(str(list(rows)), group).size() == contents // hooks
        lengths = prod(rows[i] - j + columns[j] - i - 1 for i, j in cells)
        if sum(rows) > 2:  # and the hook length formula
            expected = factorial(sum(rows)) // lengths
            assert Irrep(str(list(rows)), S(sum(rows))).size() == expected

    def test_of_forms_and_traceless_tensors(self) -> None:
        for k in range(5):  # Λᵏ of O(4)
            assert Irrep(f"[{', '.join('1' * k) or 0}]", O(4)).size() == comb(4, k)
        assert Irrep("[2]", SO(5)).size() == 14
        assert Irrep("[1, 1]", parse_group("Sp(2)")).size() == 5
        assert Irrep("[2]", parse_group("Sp(2)")).size() == 10

    def test_of_the_lorentz_group(self) -> None:
        group = parse_group("SO13p")
        assert Irrep("(1/2, 1/2)", group) == next(iter(decompose(V(group)).multiplicities))
        assert Irrep("(1, 0)+(0, 1)", group).size() == 6  # the electromagnetic field
        assert irrep_named("(2, 0)", group, is_complex=True).size() == 5  # half of Weyl's tensor


class TestProductsFollowTheKnownRules:
    def test_angular_momenta_add(self) -> None:
        found = clebsch_gordan(Irrep("l=2", SO(3)), Irrep("l=3", SO(3)))
        assert sorted(irrep.label for irrep in found) == [f"l={k}" for k in range(1, 6)]
        found = clebsch_gordan(Irrep("j=1/2", SU(2)), Irrep("j=1", SU(2)))
        assert sorted(irrep.label for irrep in found) == ["j=1/2", "j=3/2"]

    def test_parities_multiply(self) -> None:
        found = clebsch_gordan(Irrep("1o", O(3)), Irrep("2o", O(3)))
        assert sorted(irrep.label for irrep in found) == ["1e", "2e", "3e"]
        assert {i.label for i in clebsch_gordan(Irrep("0o", O(3)), Irrep("2e", O(3)))} == {"2o"}

    def test_triplets_of_colour(self) -> None:
        found = clebsch_gordan(Irrep("[1]", SU(3)), Irrep("[1, 1]", SU(3)))
        assert sorted((irrep.label, irrep.size()) for irrep in found) == [("[0]", 1), ("[2, 1]", 8)]

    def test_the_sign_leaves_a_square_diagram(self) -> None:
        found = clebsch_gordan(Irrep("[1, 1, 1]", S(3)), Irrep("[2, 1]", S(3)))
        assert [irrep.label for irrep in found] == ["[2, 1]"]

    def test_the_determinant_changes_the_first_column(self) -> None:
        found = clebsch_gordan(Irrep("[1, 1, 1, 1]", O(4)), Irrep("[1]", O(4)))
        assert [irrep.label for irrep in found] == ["[1, 1, 1]"]

    def test_charges_add(self) -> None:
        two, three = (irrep_named(f"m={m}", SO(2), is_complex=True) for m in (2, -3))
        assert [irrep.label for irrep in clebsch_gordan(two, three)] == ["m=-1"]
        turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
        np.testing.assert_allclose(two.rho(turn), np.exp(0.6j), atol=1e-12)


class TestChargesAreReadFromEveryIrrep:
    def test_where_sines_have_the_ratio_of_square_roots(self) -> None:
        # √2 sin 60° = √3 sin 45°: such combinations of the generators are multiples of 1
        sixth, eighth = (np.array([[x.real, -x.imag], [x.imag, x.real]]) for x in ROOTS)
        one, zero = np.eye(2), np.zeros((2, 2))
        generators = [
            np.block([[sixth, zero], [zero, one]]),
            np.block([[one, zero], [zero, eighth]]),
        ]
        found = decompose((V**2)(Group(discrete_generators=generators))).multiplicities
        labels = {irrep.label for irrep in found}
        assert labels == {"m=(0, 0)", "m=±(2, 0)", "m=±(0, 2)", "m=±(1, 1)", "m=±(1, -1)"}


class TestANameIsTheIrrep:
    def test_of_its_name_by_digest(self) -> None:
        named = Irrep("l=2", SO(3))
        assert named.name == "W5_72e3b4"
        assert named == Irrep("W5_72e3b4", SO(3)) == Irrep("2", SO(3)) == Irrep("l=2")(SO(3))
        assert hash(named) == hash(Irrep("W5_72e3b4", SO(3)))
        assert (str(named), named.label) == ("W5_72e3b4", "l=2")
        assert basis_key(named * V(SO(3))) == basis_key(Irrep("W5_72e3b4", SO(3)) * V(SO(3)))
        assert parse(str(named * V))(SO(3)) == named * V(SO(3))

    def test_by_content_of_the_group(self) -> None:
        same = Group(lie_algebra=SO(3).lie_algebra)
        assert Irrep("l=2", same).name == "W5_72e3b4"
        assert Irrep("W5_72e3b4", SO(3).numbered(2)).label == "l=2"

    def test_other_groups_have_names_by_digest_alone(self) -> None:
        # SL(2) and a reflection
        group = Group(
            lie_algebra=parse_group("SL(2)").lie_algebra,
            discrete_generators=[np.diag([1.0, -1.0])],
        )
        irrep = next(iter(decompose(V(group)).multiplicities))
        assert irrep.label == irrep.name
        with pytest.raises(InvalidRep, match="have only names such as W3_5a1f2c"):
            Irrep("l=2", group)

    @pytest.mark.slow
    def test_found_by_its_digest_in_another_process(self) -> None:
        label = "l=9"  # in no tensor of up to 5,000 dimensions
        name = Irrep(label, SO(3)).name
        program = "from intertwine.groups import SO\nfrom intertwine.irreps import Irrep\n"
        assert python(f"{program}print(Irrep({name!r}, SO(3)).label)").strip() == label


class TestTexts:
    def test_of_e3nn(self) -> None:
        rep = parse("3x1o + 2x0e+2e")
        assert (rep.is_concrete, str(rep)) == (False, '3Irrep("1o")+2Irrep("0e")+Irrep("2e")')
        one, zero, two = (Irrep(name, O(3)) for name in ("1o", "0e", "2e"))
        assert rep(O(3)) == 3 * one + 2 * zero + two
        assert parse("1o")(O(3)) == one
        assert parse("2x1o + 2e >> 0e")(O(3)) == (2 * one + two >> zero)
        with pytest.raises(InvalidRep, match="'1o' is not the name of an irrep of SO"):
            rep(SO(3))

    @pytest.mark.parametrize("text", ["1o*V", "3x1o+V", "3xx1o", "1o+", "x1o"])
    def test_that_are_not_e3nns(self, text: str) -> None:
        with pytest.raises(ParseError):
            parse(text)

    def test_beside_other_reps_are_refused_with_their_own_names(self) -> None:
        with pytest.raises(ParseError, match=r'the irrep 1o is Irrep\("1o"\)'):
            parse("3x1o+V")

    def test_with_names_of_irreps(self) -> None:
        rep = parse('Irrep("[2, 1]")*V.T + 2Irrep("[1]")')
        assert parse(str(rep)) == rep
        bound = rep(SU(3))
        assert bound == Irrep("[2, 1]", SU(3)) * V(SU(3)).T + 2 * Irrep("[1]", SU(3))
        assert parse(str(bound))(SU(3)) == bound
        with pytest.raises(NotConcrete, match="has no group yet"):
            rep.size()
        with pytest.raises(InvalidRep, match="is a string"):
            parse("Irrep(V)")

    def test_are_read_without_the_irreps_loaded(self) -> None:
        program = "from intertwine.reps import parse\nprint(parse('Irrep(\"l=2\")+1o'[:12]))\n"
        assert python(program).strip() == 'Irrep("l=2")'


class TestRefusals:
    def test_lists_the_irreps_that_a_finite_group_has(self) -> None:
        with pytest.raises(InvalidRep, match=r"no irrep T1g .* which have A, G, H, T1, T2$"):
            Irrep("T1g", PointGroup("I"))

    @pytest.mark.parametrize("name", ["l=-1", "foo", "2e", "[1", "m=1", "j=1/2", "l=1/2"])
    def test_of_names_of_other_groups(self, name: str) -> None:
        with pytest.raises(InvalidRep, match=r"is not the name of an irrep of SO\(3\)"):
            Irrep(name, SO(3))

    @pytest.mark.parametrize(
        ("name", "group", "text"),
        [
            ("l=50", SO(3), "tensors of more than 24 factors V"),
            ("l=999", SO(3), "tensors of more than 24 factors V"),
            pytest.param("[6, 6]", SU(3), "larger products of irreps", marks=pytest.mark.slow),
        ],
        ids=["50", "999", "wide"],
    )
    def test_of_large_irreps(self, name: str, group: Group, text: str) -> None:
        with pytest.raises(InvalidRep, match=text):
            Irrep(name, group)

    @pytest.mark.parametrize(
        ("name", "group"),
        [
            ("m=-999", "Spin(2)"), ("m=1999/2", "Spin(2)"), ("j=999", "Spin(3)"),
            ("(999, 999)", "SO13p"), ("(1999/2, 1/2)", "O13"), ("[999]", "SU(3)"),
        ],
    )  # fmt: skip
    def test_of_the_largest_numbers(self, name: str, group: str) -> None:
        with pytest.raises(InvalidRep, match="tensors of more than 24 factors V"):
            Irrep(name, parse_group(group))

    @pytest.mark.parametrize(
        ("name", "group"),
        [
            ("[1, -1]", "GL(4)"), ("[1, -1]", "SO(7)"), ("[1, -1]", "SO(8)"), ("[1, -1]", "SU(3)"),
            ("[999, 0, -999]", "SU(3)"), ("m=2000/2", "Spin(2)"),
        ],
    )  # fmt: skip
    def test_of_rows_that_are_no_highest_weight(self, name: str, group: str) -> None:
        with pytest.raises(InvalidRep, match="is not the name of an irrep"):
            Irrep(name, parse_group(group))

    @pytest.mark.parametrize("name", ["", "W5_", "é", "a" * 81, "2;", 3])
    def test_of_texts_that_are_no_names(self, name: object) -> None:
        with pytest.raises(InvalidRep, match="not the name of an irrep"):
            Irrep(name)  # type: ignore[arg-type]

    def test_of_groups_that_are_not_reductive(self) -> None:
        with pytest.raises(MethodNotApplicable):
            Irrep("l=1", Group(lie_algebra=[[[0.0, 1.0], [0.0, 0.0]]]))


class TestDecompositionsShowLabels:
    def test_in_every_form(self) -> None:
        rep: Rep = (2 * V**2)(SO(3))
        found = decompose(rep)
        assert "2 × l=0 + 2 × l=1 + 2 × l=2, or 2W1_834a70" in repr(found)
        assert str(found).splitlines()[3].split()[-1] == "l=2"
        assert "<td>l=2</td>" in found._repr_html_()
        assert [each["label"] for each in found.to_json()["irreps"]] == ["l=0", "l=1", "l=2"]
