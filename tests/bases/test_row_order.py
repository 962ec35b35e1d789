"""A basis says whose coordinates its rows are, in memory and in files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.example_bases import certificate_for
from helpers.example_networks import Determinant
from intertwine.bases import Basis, Dense, RowOrder, from_bytes, load_basis, save_basis, to_bytes
from intertwine.errors import FormatError, InvalidRep
from intertwine.groups import SO, DirectProduct, Group, O, S, SO11p
from intertwine.irreps import Irrep, decompose
from intertwine.reps import Base, Dual, Rep, Scalar, ScalarRep, Sum, V, canonical

TURN = Group(discrete_generators=[[[0.0, -1.0], [1.0, 0.0]]])
FLIP = Group(discrete_generators=[[[1.0, 0.0], [0.0, -1.0]]])
L, R = SO(3).copies(2)
ZEROS = "0" * 64


class Oblique(Group):
    """A user-defined group whose name is that of the catalogue's rotations."""

    def __init__(self) -> None:
        super().__init__(lie_algebra=[[[0.0, 2.0, 0.0], [-0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]])

    def __repr__(self) -> str:
        return "SO(3)"


@dataclass(frozen=True)
class Own(Rep):
    """A rep of a user's own that is written as its user likes: g ↦ det(g) g."""

    name: str
    G: Any = None

    def rho(self, M: Any) -> Any:
        return np.linalg.det(np.asarray(M)) * np.asarray(M)

    def drho(self, A: Any) -> Any:
        return np.trace(np.asarray(A)) * np.eye(len(A)) + np.asarray(A)

    def __str__(self) -> str:
        return self.name


class Doubled(Base):
    """V with an action of its own."""

    def rho(self, M: Any) -> Any:
        return np.asarray(M) @ np.asarray(M)

    def size(self) -> int:
        return 2

    def __str__(self) -> str:
        return "V"


class Alike(Rep):
    """A user-defined rep that acts as V does, and believes to be equal to it."""

    def rho(self, M: Any) -> Any:
        return np.asarray(M)

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    __hash__ = Rep.__hash__

    def __str__(self) -> str:
        return "V"


class Renamed(Base):
    """V by another class, without an action of its own."""


class Signed(ScalarRep):
    """A scalar with an action of its own."""

    def rho(self, M: Any) -> Any:
        return np.linalg.det(np.asarray(M)).reshape(1, 1)

    def size(self) -> int:
        return 1

    def __str__(self) -> str:
        return "V⁰"


class Inverse(Dual):
    """A dual with an action of its own."""

    def rho(self, M: Any) -> Any:
        return np.linalg.inv(np.asarray(M)).T

    def size(self) -> int:
        return int(self.G.d)

    def __str__(self) -> str:
        return "V*"


class Terms(Sum):
    """A sum by another class."""


def irrep_of(group: Group) -> Rep:
    """The irrep of dimension five in V⊗V."""
    return next(i for i in decompose(V(group) ** 2).multiplicities if i.size() == 5)


def named_like_an_irrep() -> Rep:
    """A user-defined rep whose text is an irrep's name."""
    found = Own(str(irrep_of(SO(3))))
    return found(SO(3)) * V(SO(3))


#: Reps whose text means another rep, or none.
OTHER_TEXTS: dict[str, Any] = {
    **{
        f"a rep called {name}": lambda name=name: (2 * V + Own(name))(O(3)) * V(O(3))
        for name in ("P", "V", "T", "T(2)", "Scalar", "Vector", "V⁰", "V+V", "3", "2V", "")
    },
    "a rep called like an irrep": named_like_an_irrep,
    "a dual of a rep called V": lambda: (Own("V").T + V)(SO11p()),
    "two groups, and a rep called V": lambda: Own("V")(O(3)) * V(S(3)),
    "a rep called like V over a group": lambda: Own("V(O(3))")(O(3)) * V(O(3)),
    "a subclass of V": lambda: (Doubled() + V)(SO(2)),
    "a subclass of V without an action": lambda: (Renamed() + V)(SO(2)),
    "a rep that acts as V": lambda: (Alike() + Scalar)(SO(3)),
    "a subclass of the scalar": lambda: Signed()(O(3)) + V(O(3)),
    "a subclass of the dual": lambda: Inverse(V)(SO11p()) + V(SO11p()),
    "a subclass of the sum": lambda: Terms(((2, V(SO(3))), (1, Scalar))),
    "two groups of one name": lambda: V(Oblique()) * V(SO(3)),
    "two groups of one name, and a third": lambda: V(SO(3)) * V(Oblique()) + V(S(3)),
    "two groups, one called V": lambda: V(Group(d=2, name="V")) + V(Group(d=3, name="V")),
}
REPS = {
    "in another order than the canonical one": (V + 2 * Scalar)(SO(3)),
    "a product of sums": (V * (V + Scalar) + Scalar)(S(4)),
    "with a dual": (V.T + V)(Group(lie_algebra=[[[0.0, 1.0], [0.0, 0.0]]])),
    "a group without a name": (V + Scalar + V**2)(TURN),
    "two groups": V(S(3)) * V(SO(2)) + V(SO(2)),
    "copies of a group": V(L) * V(R) + V(L) * V(L),
    "scalars": 3 * Scalar,
    "an irrep": irrep_of(SO(3)) * V(SO(3)) + V(SO(3)),
    "two groups without names": V(TURN) * V(FLIP) + V(TURN),
    "a group of one's own that has a name": V(Oblique()) ** 2,
    "that group beside another": V(Oblique()) * V(S(3)) + V(S(3)),
    "copies of that group": V(Oblique().numbered(1)) * V(Oblique().numbered(2)),
    "a product of groups": (V + V**2)(S(3) * SO(2)),
}


@pytest.mark.parametrize("name", REPS)
def test_a_file_has_rep_group_and_order(name: str, tmp_path: Path) -> None:
    rep = REPS[name]
    basis = rep.equivariant_basis(store=False)
    assert basis.rep == rep
    save_basis(basis, tmp_path / "q.safetensors")
    found = load_basis(tmp_path / "q.safetensors")
    assert found.rep == rep
    assert str(found.rep) == str(rep)  # the order too
    np.testing.assert_array_equal(found.dense(), basis.dense())
    assert from_bytes(to_bytes(found)).rows == found.rows == basis.rows


def test_what_a_store_had_under_other_names_has_the_rows_asked_for(tmp_path: Path) -> None:
    first, second = (V + 2 * Scalar)(SO(3)), (2 * Scalar + V)(SO(3))
    assert canonical(first).rep == canonical(second).rep
    for rep in (first, second):
        assert rep.equivariant_basis(store=False).rep == rep


def basis_of(rep: Rep) -> Basis:
    """A basis that says it has the coordinates of a rep; its numbers are not solved for."""
    storage = Dense(np.eye(3)[:, :1])
    return Basis(storage, certificate_for(storage), of=rep)


@pytest.mark.parametrize("name", OTHER_TEXTS)
def test_a_text_that_means_another_rep_is_refused(name: str, tmp_path: Path) -> None:
    basis = basis_of(OTHER_TEXTS[name]())
    save_basis(basis, tmp_path / "q.safetensors")
    found = load_basis(tmp_path / "q.safetensors")
    with pytest.raises(InvalidRep, match="of a file cannot be read"):
        _ = found.rep
    assert found.rows == basis.rows == from_bytes(to_bytes(found)).rows


def test_a_basis_whose_rep_is_refused_can_be_used(tmp_path: Path) -> None:
    basis = ((V + Own("V"))(O(3)) * V(O(3))).equivariant_basis(store=False)
    save_basis(basis, tmp_path / "q.safetensors")
    found = load_basis(tmp_path / "q.safetensors")
    with pytest.raises(InvalidRep, match=r"its text gives \(2V²\)\(O\(3\)\), but"):
        _ = found.rep
    assert (found.rank, found.certificate) == (1, basis.certificate)
    np.testing.assert_array_equal(found.dense(), basis.dense())


def test_groups_of_one_name_are_both_in_the_file() -> None:
    rows = RowOrder.of(V(SO(3)) * V(Oblique()))
    assert [*rows.groups] == ["SO(3)", f"SO(3) {Oblique().digest[:16]}"]


def test_groups_of_one_name_and_equal_generators_are_one() -> None:
    renamed = Group(lie_algebra=SO(3).lie_algebra, name="SO(3)")
    rows = RowOrder.of(V(SO(3)) * V(S(3)) * V(renamed))
    assert [*rows.groups] == ["SO(3)", "S(3)"]
    assert rows.read() == V(SO(3)) * V(S(3)) * V(SO(3))


def test_groups_of_two_names_and_equal_generators_are_read() -> None:
    renamed = Group(lie_algebra=SO(3).lie_algebra, name="turns")
    with pytest.warns(UserWarning, match="have the same generators"):
        one, two = V(SO(3)) * V(renamed) * V(S(3)), V(SO(3)) * V(renamed)
    assert RowOrder.of(one).read() == one
    assert RowOrder.of(two).read() == two


def test_groups_of_the_catalogue_are_read_as_such() -> None:
    assert type(RowOrder.of(V(SO(3))).read().G) is SO
    assert type(RowOrder.of(V(S(3) * SO(2))).read().G) is DirectProduct
    assert type(RowOrder.of(V(Oblique())).read().G) is Group


def test_subclasses_of_irreps_are_not_read_as_irreps() -> None:
    class Mine(Irrep):
        """An irrep by another class."""

    found = RowOrder.of(Mine(irrep_of(SO(3)).name)(SO(3)))  # type: ignore[attr-defined]
    with pytest.raises(InvalidRep, match="the basis is of another rep"):
        found.read()


class TestNames:
    """User-defined reps are read when they are given by their names."""

    def save(self, rep: Rep, folder: Path) -> Path:
        path = folder / "q.safetensors"
        save_basis(basis_of(rep), path)
        return path

    @pytest.mark.sampled(3)
    @pytest.mark.parametrize("name", ["P", "ρ⁺", "T", "Scalar", "V⁰", "V", "W5_72e3b4"])
    def test_a_rep_is_read_by_its_name(self, name: str, tmp_path: Path) -> None:
        rep = Own(name)(O(3)) ** 2 + 2 * Own(name)(O(3))
        found = load_basis(self.save(rep, tmp_path), names={name: Own(name)})
        assert found.rep == rep
        assert found.rows == RowOrder.of(rep)

    def test_a_rep_over_its_group_is_a_name_too(self, tmp_path: Path) -> None:
        rep = (2 * V + Own("P"))(O(3)) * V(O(3))
        basis = rep.equivariant_basis(store=False)
        save_basis(basis, tmp_path / "q.safetensors")
        found = load_basis(tmp_path / "q.safetensors", names={"P": Own("P")(O(3))})
        assert found.rep == rep
        assert found.certificate == basis.certificate
        np.testing.assert_array_equal(found.dense(), basis.dense())

    def test_a_dual_and_several_groups(self, tmp_path: Path) -> None:
        rep = Own("P").T(SO11p()) * V(TURN) + V(SO11p())
        assert load_basis(self.save(rep, tmp_path), names={"P": Own("P")}).rep == rep

    def test_subclasses_of_the_algebra(self, tmp_path: Path) -> None:
        rep = Doubled(SO(2)) ** 2
        assert load_basis(self.save(rep, tmp_path), names={"V": Doubled()}).rep == rep

    @pytest.mark.parametrize(
        ("given", "why"),
        [
            ({"Q": Own("P")}, "'P' is none of"),
            ({"P": Determinant()}, "the basis is of another rep"),
            ({"P": V}, "the basis is of another rep"),
            ({"P": Own("P")(SO(3))}, "the basis is of another rep"),
            ({"P": Own}, "names must be reps or groups"),
        ],
        ids=["another name", "another rep", "V", "another group", "a class"],
    )
    def test_anything_else_is_refused(self, given: Any, why: str, tmp_path: Path) -> None:
        path = self.save((2 * V + Own("P"))(O(3)) * V(O(3)), tmp_path)
        with pytest.raises(InvalidRep, match=why):
            load_basis(path, names=given)

    def test_both_meanings_of_one_name_are_refused(self, tmp_path: Path) -> None:
        path = self.save((2 * V + Own("V"))(O(3)) * V(O(3)), tmp_path)
        with pytest.raises(InvalidRep, match="share the name of another"):
            load_basis(path, names={"V": Own("V")})

    def test_names_change_nothing_where_they_do_not_occur(self, tmp_path: Path) -> None:
        rep = (V + 2 * Scalar)(SO(3))
        assert load_basis(self.save(rep, tmp_path), names={"P": Own("P")}).rep == rep


def test_files_of_earlier_versions_say_nothing() -> None:
    basis = V(SO(3)).equivariant_basis(store=False)
    silent = Basis(basis.storage, basis.certificate)
    assert silent.rep is silent.rows is from_bytes(to_bytes(silent)).rep is None


@pytest.mark.parametrize(
    "document",
    [
        *(None, [], {}, {"rep": 3, "groups": {}}, {"rep": "V", "groups": {"G": 3}}),
        {"rep": "V", "groups": {}, "digest": 3},
    ],
)
def test_anything_else_is_refused(document: Any) -> None:
    with pytest.raises(FormatError, match="the rows of a basis are a rep"):
        RowOrder.from_json(document)


@pytest.mark.parametrize(
    "rows",
    [
        RowOrder("V", {}, ZEROS),
        RowOrder("V+", {"SO(3)": {"d": 3}}, ZEROS),
        RowOrder("V", {"G": {"discrete_generators": [[1, 0]], "d": "3"}}, ZEROS),
        RowOrder("V", {"A": {"d": 2}, "B": {"d": 3}}, ZEROS),
        RowOrder("V(SO(3))", {"SO(3)": {"d": 3}}, ZEROS),
    ],
    ids=repr,
)
def test_a_rep_that_cannot_be_read_is_refused_when_it_is_asked_for(rows: RowOrder) -> None:
    with pytest.raises(InvalidRep, match="of a file"):
        rows.read()


def test_a_rep_without_a_digest_is_refused() -> None:
    rows = RowOrder.of(V(SO(3)))
    document = {name: value for name, value in rows.to_json().items() if name != "digest"}
    found = RowOrder.from_json(document)
    assert found.to_json() == document
    with pytest.raises(InvalidRep, match="has no digest"):
        found.read()
