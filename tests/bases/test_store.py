"""A basis is solved once; then whoever asks has it from the store, with its evidence."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.example_bases import BASES, basis_of, orthonormal
from helpers.example_stores import (
    BLOB_FAULTS,
    digest,
    exchange_blobs,
    faults,
    key,
    overwrite,
    quarantined,
)
from helpers.oracle import discrete_generators, projector_distance
from helpers.support import run_python
from intertwine.bases import Basis, Dense, to_bytes
from intertwine.bases.certificate import SOLVER_VERSION
from intertwine.bases.files import write_safetensors
from intertwine.bases.store import entry_fault, find_store, obtain
from intertwine.errors import (
    AmbiguousRank,
    MethodNotApplicable,
    NotConcrete,
    NotConverged,
    SolveError,
    TooLarge,
    UnknownMethod,
)
from intertwine.groups import SO, C, Group, S
from intertwine.invariants import Tolerances
from intertwine.reps import Rep, T, V, basis_key, canonical, parse
from intertwine_cache import Store, verify

REP: Rep = (V**2 * V.T + V)(SO(3))
KEY = key("a request")
each = pytest.mark.parametrize("basis", BASES.values(), ids=BASES.keys())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


class Solve:
    """Hands out a basis, another one each time, and counts how often it is called."""

    def __init__(self, basis: Basis | None = None) -> None:
        self.basis, self.times = basis, 0

    def __call__(self) -> Basis:
        self.times += 1
        return self.basis or basis_of(Dense(orthonormal(6, 2, seed=self.times)))


def never() -> Basis:
    raise AssertionError("it was solved again")


def is_mapped(array: np.ndarray[Any, Any]) -> bool:
    """Whether the numbers are a file's, looked at where they are, rather than a copy of them."""
    base: Any = array
    while base is not None:
        if isinstance(base, np.memmap):
            return True
        base = getattr(base, "base", None)
    return False


class TestObtain:
    def test_it_is_solved_the_first_time_and_read_the_second(self, store: Store) -> None:
        solve = Solve()
        first = obtain(store, KEY, {}, solve)
        second = obtain(store, KEY, {}, never)
        assert solve.times == 1
        assert (first.cached, second.cached) == ("", store.name)
        assert np.array_equal(first.dense(), second.dense())
        assert first.certificate == second.certificate

    @each
    def test_any_basis_comes_back_as_it_was(self, store: Store, basis: Basis) -> None:
        obtain(store, KEY, {}, lambda: basis)
        read = obtain(Store(store.layout.root), KEY, {}, never)
        assert read.cached
        assert type(read.storage) is type(basis.storage)
        assert (read.shape, read.dtype) == (basis.shape, basis.dtype)
        assert np.array_equal(read.dense(), basis.dense())
        assert read.certificate == basis.certificate

    def test_the_solving_process_gets_the_stored_basis(self, store: Store) -> None:
        """Two processes solved at once; the second to publish gets the basis of the first."""

        def overtaken() -> Basis:
            mine = basis_of(Dense(orthonormal(6, 2, seed=1)))
            theirs = basis_of(Dense(orthonormal(6, 2, seed=2)))
            assert store.publish(KEY, lambda write: write(to_bytes(theirs)), {}) is not None
            return mine

        basis = obtain(store, KEY, {}, overtaken)
        assert np.array_equal(basis.dense(), orthonormal(6, 2, seed=2))
        assert np.array_equal(obtain(store, KEY, {}, never).dense(), basis.dense())

    def test_the_numbers_are_mapped_and_cannot_be_changed(self, store: Store) -> None:
        for basis in (obtain(store, KEY, {}, Solve()), obtain(store, KEY, {}, never)):
            assert isinstance(basis.storage, Dense)
            assert is_mapped(basis.storage.matrix)
            with pytest.raises(ValueError, match="read-only"):
                basis.storage.matrix[0, 0] = 7.0
        assert faults(store) == {}

    def test_the_details_and_the_certificate_are_in_the_manifest(self, store: Store) -> None:
        basis = obtain(store, KEY, {"canonical": "V", "group": None}, Solve(BASES["nested"]))
        manifest = store.manifest(KEY)
        assert manifest is not None
        assert manifest.details == {
            "canonical": "V",
            "group": None,
            "certificate": basis.certificate.to_json(),
        }

    def test_a_certificate_without_a_gap_has_none_in_the_manifest(self, store: Store) -> None:
        exact = (V**2)(S(3)).equivariant_basis(store=store)
        assert math.isinf(exact.certificate.gap)
        (manifest,) = store.manifests()
        assert manifest.details["certificate"]["gap"] is None
        assert json.loads(manifest.to_bytes())["details"] == manifest.details

    @pytest.mark.parametrize(
        "error",
        [
            AmbiguousRank("no clear gap"),
            NotConverged("stopped short"),
            TooLarge("more than the bound"),
            MemoryError("no memory"),
            TimeoutError("no time"),
            OSError(28, "the solver's own disk is full"),
            KeyboardInterrupt(),
            SystemExit(3),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_a_solve_that_fails_fails_as_it_did_and_is_never_kept(
        self, store: Store, error: BaseException
    ) -> None:
        def fail() -> Basis:
            raise error

        for _ in range(2):
            with pytest.raises(type(error)) as raised:
                obtain(store, KEY, {}, fail)
            assert raised.value is error
        assert store.read(KEY) is None
        assert store.statistics()["blobs"] == 0
        solve = Solve()
        assert not obtain(store, KEY, {}, solve).cached
        assert solve.times == 1
        assert obtain(store, KEY, {}, never).cached

    @pytest.mark.parametrize(
        "spoil", BLOB_FAULTS.values(), ids=[name.replace(" ", "-") for name in BLOB_FAULTS]
    )
    def test_a_spoilt_file_is_solved_again_and_kept_again(
        self, store: Store, spoil: Callable[[Path], None]
    ) -> None:
        obtain(store, KEY, {}, Solve())
        entry = store.read(KEY)
        assert entry is not None
        spoil(entry[1])
        solve = Solve()
        again = obtain(store, KEY, {}, solve)
        assert (solve.times, again.cached) == (1, "")
        assert obtain(store, KEY, {}, never).cached
        assert set(quarantined(store)) == {entry[0].digest, f"{KEY}.json"}

    @pytest.mark.parametrize(
        "blob",
        [
            b"",
            b"no basis",
            b"\x10\0\0\0\0\0\0\0" + b"{}".ljust(16),
            to_bytes(BASES["dense"])[:-8],
            to_bytes(BASES["dense"]) + b"more",
            to_bytes(BASES["dense"]).replace(b'intertwine-basis\\"', b'intertwine-basi2\\"'),
            to_bytes(BASES["dense"]).replace(b'\\"version\\": 1', b'\\"version\\": 9'),
        ],
        ids=["empty", "text", "bare", "short", "long", "other format", "future version"],
    )
    def test_bytes_that_are_no_basis_are_rejected_and_solved_again(
        self, store: Store, blob: bytes
    ) -> None:
        """Their digest is right: whoever published them was wrong, or newer."""
        assert store.publish(KEY, lambda write: write(blob), {}) is not None
        solve = Solve()
        basis = obtain(store, KEY, {}, solve)
        assert (solve.times, basis.cached) == (1, "")
        assert basis.shape == (6, 2)
        assert obtain(store, KEY, {}, never).cached
        assert "is not a basis" in quarantined(store)[f"{KEY}.json"]

    def test_what_an_older_solver_found_is_solved_again(self, store: Store) -> None:
        fresh = basis_of(Dense(orthonormal(6, 2)))
        older = Basis(fresh.storage, dataclasses.replace(fresh.certificate, solver=1))
        store.publish(KEY, lambda write: write_safetensors(older, write), {})
        assert not obtain(store, KEY, {}, lambda: fresh).cached
        again = obtain(store, KEY, {}, never)
        assert (again.cached, again.certificate.solver) == (store.name, SOLVER_VERSION)

    def test_two_keys_never_meet(self, store: Store) -> None:
        one = obtain(store, key("one"), {}, Solve(BASES["dense"]))
        two = obtain(store, key("two"), {}, Solve(BASES["nested"]))
        assert obtain(store, key("one"), {}, never).shape == one.shape
        assert obtain(store, key("two"), {}, never).shape == two.shape

    def test_a_basis_in_use_outlives_its_file(self, store: Store) -> None:
        basis = obtain(store, KEY, {}, Solve())
        before = basis.dense().copy()
        store.clear()
        assert np.array_equal(basis.dense(), before)

    def test_a_store_that_rejects_entries_returns_the_solved_basis(self, tmp_path: Path) -> None:
        full = Store(tmp_path, limit=10)
        solve = Solve()
        for _ in range(2):
            basis = obtain(full, KEY, {}, solve)
            assert not basis.cached
            assert basis.shape == (6, 2)
        assert solve.times == 2

    def test_sixteen_threads_solve_once(self, store: Store) -> None:
        start = threading.Barrier(16)
        solve, found = Solve(), []

        def slowly() -> Basis:
            threading.Event().wait(0.2)
            return solve()

        def ask(number: int) -> None:
            mine = store if number % 2 else Store(store.layout.root)
            start.wait()
            found.append(obtain(mine, KEY, {}, slowly))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert solve.times == 1
        assert sorted(basis.cached for basis in found) == [""] + [store.name] * 15
        for basis in found:
            assert np.array_equal(basis.dense(), found[0].dense())


class Shelf:
    """The least that is a store: its name, five methods, and files without any checks.

    `elsewhere` has the file of another machine for each key, and whether a trusted key signed it.
    """

    name = "a shelf"
    place = "https://lab.example.org"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rejected: list[str] = []
        self.refused: list[str] = []
        self.details: Mapping[str, Any] = {}
        self.elsewhere: dict[str, tuple[Path, bool]] = {}
        self.was_quick: bool | None = None

    def fetch(
        self,
        key: str,
        accept: Callable[[Path, bool], None],
        most_bytes: int,
        is_quick: Callable[[], bool],
    ) -> tuple[Any, Path, str] | None:
        self.was_quick = is_quick()
        if key not in self.elsewhere:
            return None
        path, is_trusted = self.elsewhere[key]
        assert path.stat().st_size <= most_bytes
        try:
            accept(path, is_trusted)
        except ValueError as error:
            self.refused.append(str(error))
            return None
        kept = shutil.copyfile(path, self.folder / key)
        return "anything", kept, self.place

    def read(self, key: str) -> tuple[Any, Path] | None:
        path = self.folder / key
        return ("anything", path) if path.exists() else None

    def reject(self, key: str, reason: str) -> None:
        self.rejected.append(reason)
        (self.folder / key).unlink()

    @contextmanager
    def claim(self, key: str) -> Iterator[None]:
        yield

    def publish(
        self,
        key: str,
        write_to: Callable[[Callable[[bytes | memoryview], Any]], None],
        details: Mapping[str, Any],
    ) -> tuple[Any, Path] | None:
        with (self.folder / key).open("wb") as file:
            write_to(file.write)
        self.details = details
        return self.read(key)


class TestTheProtocol:
    """The solver asks no more of a store than its name and five methods."""

    def test_anything_with_the_five_methods_is_a_store(self, tmp_path: Path) -> None:
        shelf = Shelf(tmp_path)
        first, second = (REP.equivariant_basis(store=shelf) for _ in range(2))
        assert (first.cached, second.cached) == ("", shelf.name)
        assert projector_distance(first, second) <= 1e-14
        assert first.certificate == second.certificate
        json.dumps(dict(shelf.details), allow_nan=False)

    def test_a_file_that_is_gone_by_the_time_it_is_opened_is_a_miss(self, tmp_path: Path) -> None:
        class Hasty(Shelf):
            def read(self, key: str) -> tuple[Any, Path] | None:
                return "anything", self.folder / "gone"

        hasty = Hasty(tmp_path)
        assert not obtain(hasty, KEY, {}, Solve()).cached
        assert hasty.rejected == []

    @pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to(path)])
    def test_a_file_that_cannot_be_opened_is_a_miss(
        self, tmp_path: Path, make: Callable[[Path], None]
    ) -> None:
        class Broken(Shelf):
            def read(self, key: str) -> tuple[Any, Path] | None:
                return "anything", self.folder / "broken"

            def reject(self, key: str, reason: str) -> None:
                self.rejected.append(reason)

        make(tmp_path / "broken")
        assert not obtain(Broken(tmp_path), KEY, {}, Solve()).cached

    def test_what_the_store_loses_at_once_is_delivered_all_the_same(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Forgetful(Shelf):
            def publish(self, *arguments: Any) -> tuple[Any, Path] | None:
                entry = super().publish(*arguments)
                assert entry is not None
                entry[1].unlink()
                return entry

        with caplog.at_level(logging.WARNING, logger="intertwine"):
            basis = obtain(Forgetful(tmp_path), KEY, {}, Solve())
        assert basis.shape == (6, 2)
        assert f"the store lost {KEY} at once" in caplog.text


class TestElsewhere:
    """With a check, a store may bring a basis from another machine."""

    @pytest.fixture
    def shelf(self, tmp_path: Path) -> Shelf:
        (tmp_path / "near").mkdir()
        return Shelf(tmp_path / "near")

    def send(
        self, shelf: Shelf, basis: Basis | bytes, *, under: str = KEY, is_trusted: bool = False
    ) -> None:
        """Have another machine offer a basis under a key."""
        path = shelf.folder.parent / "sent"
        path.write_bytes(basis if isinstance(basis, bytes) else to_bytes(basis))
        shelf.elsewhere[under] = (path, is_trusted)

    @pytest.mark.parametrize("is_trusted", [False, True])
    def test_an_accepted_basis_names_its_place_and_then_the_store(
        self, shelf: Shelf, is_trusted: bool
    ) -> None:
        sent, seen = BASES["nested"], list[tuple[Any, bool]]()
        self.send(shelf, sent, is_trusted=is_trusted)

        def check(basis: Basis, is_trusted: bool) -> None:
            seen.append((basis.shape, is_trusted))

        found = obtain(shelf, KEY, {}, never, size=sent.shape[0], check=check)
        assert found.cached == shelf.place
        assert np.array_equal(found.dense(), sent.dense())
        assert seen == [(sent.shape, is_trusted)]
        assert obtain(shelf, KEY, {}, never, check=check).cached == shelf.name
        assert len(seen) == 1

    def test_a_refused_basis_is_solved_and_kept_here(self, shelf: Shelf) -> None:
        self.send(shelf, BASES["dense"])

        def check(basis: Basis, is_trusted: bool) -> None:
            raise SolveError("a column is missing")

        solve = Solve()
        found = obtain(shelf, KEY, {}, solve, check=check)
        assert (found.cached, found.shape, solve.times) == ("", (6, 2), 1)
        assert shelf.refused == ["a column is missing"]
        assert obtain(shelf, KEY, {}, never, check=check).cached == shelf.name

    @pytest.mark.parametrize(
        ("sent", "reason"),
        [
            (b"", "is not a basis"),
            (to_bytes(BASES["dense"])[:-8], "is not a basis"),
            (BASES["nested"], "dimensions, not 6"),
        ],
        ids=["empty", "short", "another size"],
    )
    def test_other_bytes_are_refused_before_the_check(
        self, shelf: Shelf, sent: Basis | bytes, reason: str
    ) -> None:
        self.send(shelf, sent)

        def check(basis: Basis, is_trusted: bool) -> None:
            raise AssertionError("it was checked")

        assert obtain(shelf, KEY, {}, Solve(), size=6, check=check).cached == ""
        assert reason in shelf.refused[0]

    def test_a_basis_of_another_key_or_of_an_older_solver_is_refused(self, shelf: Shelf) -> None:
        fresh = basis_of(Dense(orthonormal(6, 2)))
        older = Basis(fresh.storage, dataclasses.replace(fresh.certificate, solver=1))
        other: list[bytes] = []
        write_safetensors(fresh, lambda part: other.append(bytes(part)), {"key": key("other")})
        for sent, reason in ((older, "version 1"), (b"".join(other), "it is of the key")):
            self.send(shelf, sent)
            assert obtain(shelf, KEY, {}, Solve(), check=lambda *_: None).cached == ""
            assert reason in shelf.refused[-1]
            (shelf.folder / KEY).unlink()

    def test_without_a_check_nothing_is_fetched(self, shelf: Shelf) -> None:
        self.send(shelf, BASES["dense"])
        assert obtain(shelf, KEY, {}, Solve()).cached == ""

    def test_an_error_of_the_check_itself_is_not_hidden(self, shelf: Shelf) -> None:
        self.send(shelf, BASES["dense"])

        def check(basis: Basis, is_trusted: bool) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            obtain(shelf, KEY, {}, never, check=check)

    def test_a_file_that_the_store_loses_at_once_is_solved(
        self, shelf: Shelf, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Forgetful(Shelf):
            def fetch(self, *arguments: Any) -> tuple[Any, Path, str] | None:
                found = super().fetch(*arguments)
                assert found is not None
                found[1].unlink()
                return found

        forgetful = Forgetful(shelf.folder)
        self.send(forgetful, BASES["dense"])
        with caplog.at_level(logging.WARNING, logger="intertwine"):
            assert obtain(forgetful, KEY, {}, Solve(), check=lambda *_: None).cached == ""
        assert f"the store lost {KEY} at once" in caplog.text

    @pytest.mark.parametrize("is_trusted", [False, True])
    def test_a_rep_gets_a_sound_basis_without_a_solve(
        self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, is_trusted: bool
    ) -> None:
        theirs = canonical(REP).rep.equivariant_basis(store=False)
        self.send(shelf, theirs, under=basis_key(REP), is_trusted=is_trusted)
        monkeypatch.setattr("intertwine.invariants.solver._solve_canonical", never)
        found = REP.equivariant_basis(store=shelf)
        assert found.cached == shelf.place
        assert found.rep == REP

    def test_a_rep_solves_what_is_wrong_or_not_complete(self, shelf: Shelf) -> None:
        right = T(4)(SO(3)).equivariant_basis(store=False)
        q = np.asarray(right.dense())
        for matrix, is_trusted in ((q[:, 1:], False), (np.eye(*q.shape), True)):
            self.send(
                shelf,
                basis_of(Dense(matrix)),
                under=basis_key(T(4)(SO(3))),
                is_trusted=is_trusted,
            )
            found = T(4)(SO(3)).equivariant_basis(store=shelf)
            assert (found.cached, found.shape) == ("", right.shape)
            (shelf.folder / basis_key(T(4)(SO(3)))).unlink()
        missing, moved = shelf.refused
        assert "it has 2 invariants" in missing
        assert "are not invariant" in moved

    @pytest.mark.parametrize(
        ("rep", "is_quick"), [(V(SO(3)), True), ((V**2)(S(4)), True), ((V**3)(SO(12)), False)]
    )
    def test_the_store_knows_what_is_solved_in_milliseconds(
        self, shelf: Shelf, rep: Rep, is_quick: bool
    ) -> None:
        rep.equivariant_basis(store=shelf)
        assert shelf.was_quick is is_quick

    def test_an_approximate_basis_needs_a_signature(self, shelf: Shelf) -> None:
        rng = np.random.default_rng(0)
        learned = [np.asarray(a) + 1e-4 * rng.standard_normal((3, 3)) for a in SO(3).lie_algebra]
        rep, options = T(2)(Group(lie_algebra=learned)), {"tolerance": 5e-3}
        theirs = rep.equivariant_basis(store=False, tolerance=5e-3)
        for is_trusted, place in ((False, ""), (True, shelf.place)):
            self.send(shelf, theirs, under=basis_key(rep, **options), is_trusted=is_trusted)
            assert rep.equivariant_basis(store=shelf, tolerance=5e-3).cached == place
            (shelf.folder / basis_key(rep, **options)).unlink()


class TestEquivariantBasis:
    @pytest.mark.parametrize(
        "rep",
        [
            (V**2)(SO(3)),
            REP,
            (V + V**2)(SO(3)),
            (V.T * V + V**0 * 5)(parse("V(SO13p)").G),
            parse("V(Z(3))*V(S(4)) + V(O(3))**2 + V(S(4))*V(Z(3))"),
            parse("T(2,2)")(parse("V(U(2))").G),
            T(4)(S(4)),
            parse("V**3")(SO(2)),  # of rank 0
            parse("0V")(SO(3)),
        ],
        ids=str,
    )
    def test_the_second_time_it_is_read_and_is_the_same(self, store: Store, rep: Rep) -> None:
        first = rep.equivariant_basis(store=store)
        second = rep.equivariant_basis(store=Store(store.layout.root))
        without = rep.equivariant_basis(store=False)
        assert (first.cached, second.cached, without.cached) == ("", store.name, "")
        assert second.certificate == first.certificate
        assert first.shape == second.shape == without.shape
        assert np.array_equal(first.dense(), second.dense())
        assert projector_distance(second, without) <= 1e-10

    @pytest.mark.parametrize(
        ("text", "other"),
        [
            ("V**2*V.T + V", "V + V.T*V**2"),
            ("V + V**2 + V", "V**2 + 2V"),
            ("V >> V**2", "V*V*V"),
        ],
    )
    def test_a_rep_in_another_order_has_the_same_entry_in_its_own_order(
        self, store: Store, text: str, other: str
    ) -> None:
        group = parse("V(SO13p)").G if ">>" not in text else SO(3)
        parse(text)(group).equivariant_basis(store=store)
        rep = parse(other)(group)
        basis = rep.equivariant_basis(store=store)
        assert basis.cached
        assert projector_distance(basis, rep.equivariant_basis(store=False)) <= 1e-10
        assert store.statistics()["entries"] == 1

    def test_a_group_of_the_same_generators_has_the_same_entry(self, store: Store) -> None:
        (V**2)(SO(3)).equivariant_basis(store=store)
        mine = Group(lie_algebra=[np.asarray(a) for a in SO(3).lie_algebra], name="mine")
        assert (V**2)(mine).equivariant_basis(store=store).cached
        assert not (V**2)(SO(4)).equivariant_basis(store=store).cached

    def test_a_named_method_or_backend_has_an_entry_of_its_own(self, store: Store) -> None:
        asked: list[dict[str, str]] = [
            {},
            {"method": "svd"},
            {"method": "krylov"},
            {"backend": "numpy"},
            {"method": "svd", "backend": "numpy"},
        ]
        for options in asked:
            assert not REP.equivariant_basis(store=store, **options).cached
        for options in asked:
            basis = REP.equivariant_basis(store=store, **options)
            assert basis.cached
            assert basis.certificate.method == options.get("method", basis.certificate.method)
        keys = [manifest.key for manifest in store.manifests()]
        assert keys == sorted(basis_key(REP, **options) for options in asked)

    def test_a_named_method_that_cannot_do_it_gets_no_other_s_result(self, store: Store) -> None:
        REP.equivariant_basis(store=store)
        with pytest.raises(MethodNotApplicable):
            REP.equivariant_basis(store=store, method="orbits")

    def test_what_cannot_be_asked_is_refused_before_the_store_is_asked(self, store: Store) -> None:
        with pytest.raises(NotConcrete):
            V.equivariant_basis(store=store)
        with pytest.raises(UnknownMethod):
            REP.equivariant_basis(store=store, method="guess")
        with pytest.raises(TooLarge):
            (V**60)(SO(3)).equivariant_basis(store=store)
        assert not store.layout.root.exists()

    def test_an_ambiguous_rank_is_found_anew_each_time(self, store: Store) -> None:
        rounded = [np.round(h, 9) for h in discrete_generators(C(5))]
        group = Group(discrete_generators=rounded)
        for _ in range(2):
            with pytest.raises(AmbiguousRank):
                T(4)(group).equivariant_basis(store=store)
        assert store.statistics()["entries"] == 0

    def test_tolerances_of_one_s_own_neither_read_nor_keep(self, store: Store) -> None:
        loose = Tolerances(residual=1e-6)
        REP.equivariant_basis(store=store, tolerances=loose)
        assert not store.layout.root.exists()
        REP.equivariant_basis(store=store)
        assert not REP.equivariant_basis(store=store, tolerances=loose).cached

    def test_without_a_store_nothing_is_kept(self, tmp_path: Path) -> None:
        program = """
            import os, sys
            from intertwine.groups import SO
            from intertwine.reps import V
            found = [(V**2)(SO(3)).equivariant_basis(store=False).cached for _ in range(2)]
            answer([found, os.listdir(sys.argv[1]), "intertwine_cache" in sys.modules])
        """
        done = run_python(program, str(tmp_path), env={"INTERTWINE_CACHE": str(tmp_path)})
        assert done.status == 0, done.stderr
        assert done.value == [["", ""], [], False]

    def test_a_spoilt_store_costs_a_solve_and_is_mended(self, store: Store) -> None:
        right = np.array(REP.equivariant_basis(store=store).dense())
        for path in (store.layout.manifest(basis_key(REP)), *store.layout.all_blobs()):
            overwrite(path, b"spoilt")
        again = REP.equivariant_basis(store=store)
        assert not again.cached
        assert projector_distance(right, again) <= 1e-10
        assert REP.equivariant_basis(store=store).cached

    def test_a_basis_of_another_rep_under_the_key_is_rejected(self, store: Store) -> None:
        """Its bytes and format are right: someone published it under the wrong key."""
        wrong = to_bytes((V**4)(SO(3)).equivariant_basis(store=False))
        store.publish(basis_key(REP), lambda write: write(wrong), {})
        basis = REP.equivariant_basis(store=store)
        assert basis.shape[0] == REP.size()
        assert not basis.cached
        assert REP.equivariant_basis(store=store).cached
        assert digest(wrong) in quarantined(store)

    def test_a_second_process_reads_the_stored_basis(self, store: Store) -> None:
        program = """
            import sys
            from pathlib import Path
            import numpy as np
            from intertwine.groups import SO
            from intertwine.reps import V
            from intertwine_cache import Store, verify
            basis = (V**3)(SO(3)).equivariant_basis(store=Store(Path(sys.argv[1])))
            base = basis.storage.matrix
            while not isinstance(base, (np.memmap, type(None))):
                base = getattr(base, "base", None)
            projector = basis.projector.dense().tolist()
            answer([basis.cached, base is not None, projector, basis.certificate.to_json()])
        """
        said = []
        for _ in range(2):
            done = run_python(program, str(store.layout.root))
            assert done.status == 0, done.stderr
            said.append(done.value)
        (first, second) = said
        assert (first[0], second[0]) == ("", store.name)
        assert second[1]
        assert second[2:] == first[2:]


class TestFindStore:
    """What is installed announces its store; the environment says where it is, or off."""

    def test_no_test_has_one(self) -> None:
        assert find_store() is None
        assert not (V**2)(SO(3)).equivariant_basis().cached

    def test_it_is_found_where_the_environment_says(self, tmp_path: Path) -> None:
        program = """
            from intertwine.bases.store import find_store
            store = find_store()
            answer([type(store).__module__, str(store.layout.root), store.limit])
        """
        env = {"INTERTWINE_CACHE": str(tmp_path / "here"), "INTERTWINE_CACHE_SIZE": "3MB"}
        done = run_python(program, env=env)
        assert done.status == 0, done.stderr
        assert done.value == ["intertwine_cache.store", str(tmp_path / "here"), 3 * 10**6]

    def test_python_use_is_transparent(self, tmp_path: Path) -> None:
        program = """
            from intertwine.groups import SO
            from intertwine.reps import V
            answer((V**2)(SO(3)).equivariant_basis().cached)
        """
        cached = [
            run_python(program, env={"INTERTWINE_CACHE": place}).value
            for place in (str(tmp_path), str(tmp_path), "off", str(tmp_path))
        ]
        assert cached == ["", str(tmp_path), "", str(tmp_path)]

    @pytest.mark.parametrize(
        ("name", "value"),
        [("INTERTWINE_CACHE_SIZE", "plenty"), ("INTERTWINE_CACHE", "~nobody-has-this-name/bases")],
    )
    def test_a_setting_that_cannot_be_meant_is_an_error_that_names_it(
        self, tmp_path: Path, name: str, value: str
    ) -> None:
        program = """
            from intertwine.errors import IntertwineError
            from intertwine.groups import SO
            from intertwine.reps import V
            try:
                (V**2)(SO(3)).equivariant_basis()
            except IntertwineError as error:
                answer([error.code, str(error)])
        """
        done = run_python(program, env={"INTERTWINE_CACHE": str(tmp_path), name: value})
        assert done.status == 0, done.stderr
        code, message = done.value
        assert code == "invalid-setting"
        assert name in message
        assert repr(value) in message


def test_a_copy_is_distinguished_from_a_memory_map(store: Store) -> None:
    """Otherwise the tests above would show nothing."""
    basis = obtain(store, KEY, {}, Solve())
    assert isinstance(basis.storage, Dense)
    assert is_mapped(basis.storage.matrix[1:, :1])
    assert not is_mapped(np.array(basis.storage.matrix))


class TestExchangedBlobs:
    """Two manifests name each other's blob: no reader takes one basis for the other."""

    def test_both_are_solved_again(self, store: Store) -> None:
        reps = (T(2)(SO(3)), T(2)(SO(2)))
        expected = [rep.equivariant_basis(store=store).dense() for rep in reps]
        exchange_blobs(store, *map(basis_key, reps))
        for rep, dense in zip(reps, expected, strict=True):
            basis = rep.equivariant_basis(store=store)
            assert not basis.cached
            assert projector_distance(basis.dense(), dense) < 1e-12

    def test_a_basis_of_equal_shape_is_not_taken_either(self, store: Store) -> None:
        one, two = key("one"), key("two")
        obtain(store, one, {}, Solve(basis_of(Dense(orthonormal(6, 2, seed=1)))))
        obtain(store, two, {}, Solve(basis_of(Dense(orthonormal(6, 2, seed=2)))))
        exchange_blobs(store, one, two)
        solve = Solve()
        assert not obtain(store, one, {}, solve, size=6).cached
        assert solve.times == 1
        assert "it is of the key" in quarantined(store)[f"{one}.json"]

    def test_verify_finds_them(self, store: Store) -> None:
        for name in ("one", "two"):
            obtain(store, key(name), {}, Solve(basis_of(Dense(orthonormal(6, 2, seed=len(name))))))
        assert list(verify(store, check_blob=entry_fault)) == []
        obtain(store, key("three"), {}, Solve())
        exchange_blobs(store, key("one"), key("three"))
        assert {found.path.stem for found in verify(store, check_blob=entry_fault)} == {
            key("one"),
            key("three"),
        }

    def test_blobs_from_before_they_named_their_key_are_read(self, store: Store) -> None:
        basis = basis_of(Dense(orthonormal(6, 2, seed=1)))
        store.publish(KEY, lambda write: write_safetensors(basis, write), {})
        assert obtain(store, KEY, {}, never).cached
