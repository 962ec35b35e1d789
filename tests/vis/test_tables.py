"""Tables of general invariant tensors: those of the books, and their numbers are invariants."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.errors import MethodNotApplicable, NotConcrete, TooLarge
from intertwine.groups import SO, SU, C, O, PointGroup
from intertwine.reps import Alt, Det, Indexed, Rep, Scalar, Sym, V
from intertwine.vis import tensor_table

ELASTIC = Indexed(V, "ijkl=jikl=klij")
PIEZOELECTRIC = Indexed(V, "ijk=ikj")
CUBIC = """\
c11  c12  c12    0    0    0
c12  c11  c12    0    0    0
c12  c12  c11    0    0    0
  0    0    0  c44    0    0
  0    0    0    0  c44    0
  0    0    0    0    0  c44"""
TRIGONAL = """\
c11   c12  c13   c14    0            0
c12   c11  c13  -c14    0            0
c13   c13  c33     0    0            0
c14  -c14    0   c44    0            0
  0     0    0     0  c44          c14
  0     0    0     0  c14  (c11-c12)/2"""
QUARTZ = """\
c11  -c11  0  c14     0     0
  0     0  0    0  -c14  -c11
  0     0  0    0     0     0"""


@pytest.mark.parametrize(
    ("rep", "table"),
    [
        (ELASTIC(PointGroup("m-3m")), CUBIC),
        (ELASTIC(PointGroup("-3m")), TRIGONAL),
        (PIEZOELECTRIC(PointGroup("32")), QUARTZ),
        ((V >> V)(C(3)), " c11  c12\n-c12  c11"),
        (Sym(2, V)(PointGroup("2/m")), "c11    0  c13\n  0  c22    0\nc13    0  c33"),
        (V(O(3)), "0\n0\n0"),
        (3 * Scalar, "c1\nc2\nc3"),
        ((Alt(2, V) >> V)(SO(3)), None),
    ],
)
def test_tables_are_those_of_the_books(rep: Rep, table: str | None) -> None:
    """Nye, Physical Properties of Crystals (1985), tables 8 and 9."""
    found = tensor_table(rep)
    if table is not None:
        assert str(found) == table
    assert len(found.parameters) == rep.equivariant_basis().rank


@pytest.mark.parametrize(
    ("symbol", "names"),
    [
        ("-1", 21),
        ("2/m", 13),
        ("mmm", "c11 c12 c13 c22 c23 c33 c44 c55 c66"),
        ("4/m", "c11 c12 c13 c16 c33 c44 c66"),
        ("4/mmm", "c11 c12 c13 c33 c44 c66"),
        ("6/mmm", "c11 c12 c13 c33 c44"),
    ],
)
def test_letters_are_the_usual_constants(symbol: str, names: str | int) -> None:
    found = tensor_table(ELASTIC(PointGroup(symbol))).parameters
    assert (len(found) if isinstance(names, int) else " ".join(found)) == names


@pytest.mark.parametrize(
    "rep",
    [
        (Sym(2, V) >> Sym(2, V))(PointGroup("23")),
        Indexed(V, "ijkl=jikl=ijlk")(PointGroup("4")),
        (Det(V) * V >> Sym(2, V))(PointGroup("-4")),
        (2 * V + 1 >> V)(SO(3)),
    ],
    ids=["elastic", "photoelastic", "pseudo", "sum"],
)
def test_entries_are_combinations_of_the_parameters(rep: Rep) -> None:
    table = tensor_table(rep)
    values = table.coefficients.reshape(-1, len(table.parameters))
    names = [f"c{row}{column}" for row in table.rows for column in table.columns]
    places = [names.index(parameter) for parameter in table.parameters]
    np.testing.assert_allclose(values[places], np.eye(len(places)), atol=1e-12)
    assert len(table.entries) == len(table.rows)
    assert {len(row) for row in table.entries} == {len(table.columns)}


def test_isotropic_constants() -> None:
    table = tensor_table(ELASTIC(O(3)))
    assert table.parameters == ("c11", "c12")
    assert table.entries[3][3] == "(c11-c12)/2"
    assert repr(table) == f"<the invariants of {ELASTIC(O(3))!r}, 6 × 6, 2 parameters>"
    assert "<td>(c11-c12)/2</td>" in table._repr_html_()
    assert table.to_json()["rows"] == ["1", "2", "3", "4", "5", "6"]


def test_roots_are_written() -> None:
    """In Mandel's coordinates, pairs of different indices have the weight √2."""
    table = tensor_table(Sym(2, Sym(2, V))(PointGroup("-3m")))
    assert table.entries[1] == ("0", "c11-c14", "√2·c15", "0", "0", "0")


def test_the_span_may_be_complex_with_a_real_basis() -> None:
    assert str(tensor_table((V >> V)(SU(2)))) == "c11    0\n  0  c11"


def test_large_and_unbound_reps_are_refused() -> None:
    with pytest.raises(TooLarge, match="9 rows and 27 columns"):
        tensor_table((V**3 >> V**2)(SO(3)))
    with pytest.raises(TooLarge, match="more than 1,200 entries"):
        tensor_table((V**4 >> V**4)(SO(3)))
    with pytest.raises(NotConcrete):
        tensor_table(ELASTIC)
    with pytest.raises(MethodNotApplicable, match="no real basis"):
        tensor_table(Rep.from_generators(C(4), [[[1j]]], name="L") * V(C(4)))
