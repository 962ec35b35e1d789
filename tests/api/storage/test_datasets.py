"""The datasets of a lab: sent, found again, and deleted, on either database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.example_trainings import lengths
from intertwine.errors import FormatError, InvalidGroup, InvalidRep, ParseError
from intertwine.training.recipe.description import BuiltIn
from intertwine.training.recipe.samples import Samples
from intertwine_api.storage.database import Database
from intertwine_api.storage.datasets import Datasets
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.wire.problems import ProblemError
from safetensors.numpy import save_file

X, Y = lengths()


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path / "objects")


@pytest.fixture
def datasets(database: Database, objects: FolderObjects) -> Datasets:
    return Datasets(database, objects)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "samples.npz"
    np.savez(path, X=X, Y=Y)
    yield path
    assert path.exists(), "whoever sent it deletes it"


def refused(code: str) -> Any:
    return pytest.raises(ProblemError, check=lambda error: error.problem.code == code)


class TestSending:
    def test_what_is_sent_is_found(
        self, datasets: Datasets, objects: FolderObjects, file: Path
    ) -> None:
        stored = datasets.add("ada", file, "lengths", "V", "V0", "SO(3)")
        assert datasets.get(stored.id, "ada") == stored
        assert datasets.info(stored.id, "ada") == stored
        assert (stored.owner, stored.name, stored.samples) == ("ada", "lengths", 30)
        assert stored.inputs == {"shape": [30, 3], "dtype": "float32"}
        assert stored.targets == {"shape": [30, 1], "dtype": "float32"}
        assert (stored.rep_in, stored.rep_out, stored.group) == ("V", "V0", "SO(3)")
        path = objects.path(stored.id)
        assert path is not None
        assert path.stat().st_size == stored.bytes
        assert np.array_equal(Samples.read(path).Y, Y)

    def test_generators_are_kept_as_they_are(self, datasets: Datasets, file: Path) -> None:
        generators = {"lie_algebra": [[[0, 1, 0], [-1, 0, 0], [0, 0, 0]]], "name": "turns"}
        stored = datasets.add("ada", file, "", "V", "V0", generators)
        assert datasets.get(stored.id).group == generators

    def test_the_same_samples_in_another_file_are_the_same_dataset(
        self, datasets: Datasets, file: Path, tmp_path: Path
    ) -> None:
        first = datasets.add("ada", file, "a")
        save_file({"inputs": X, "targets": Y}, tmp_path / "other")
        again = datasets.add("ada", tmp_path / "other", "b", "V")
        assert (again.id, again.created) == (first.id, first.created)
        assert (again.name, again.rep_in) == ("b", "V")
        assert datasets.page("ada") == ([again], None)

    @pytest.mark.slow
    def test_many_at_once_send_the_same(self, datasets: Datasets, file: Path) -> None:
        def send(number: int) -> str:
            return datasets.add(f"owner-{number % 3}", file).id

        with ThreadPoolExecutor(6) as threads:
            assert len(set(threads.map(send, range(12)))) == 1
        assert len(datasets.page()[0]) == 3

    @pytest.mark.parametrize(
        ("said", "kind", "reason"),
        [
            ({"rep_in": "2V", "group": "SO(3)"}, InvalidRep, "size 6, and the inputs have 3"),
            ({"rep_out": "V", "group": "SO(3)"}, InvalidRep, "size 3, and the targets have 1"),
            ({"rep_in": "V(SO(2))"}, InvalidRep, "size 2, and the inputs have 3"),
            ({"rep_in": "V**"}, ParseError, "expected"),
            ({"group": "SO(3"}, ParseError, "expected"),
            ({"group": "Monster()"}, ParseError, "Monster"),
            ({"group": {"lie_algebra": [[[1, 2]]]}}, InvalidGroup, r"square|shape|matri"),
        ],
        ids=str,
    )
    def test_what_is_said_of_them_must_be_possible(
        self, datasets: Datasets, file: Path, said: Any, kind: type[Exception], reason: str
    ) -> None:
        with pytest.raises(kind, match=reason):
            datasets.add("ada", file, **said)
        assert datasets.page() == ([], None)

    def test_a_rep_without_its_group_is_looked_at_when_it_is_trained_on(
        self, datasets: Datasets, file: Path
    ) -> None:
        assert datasets.add("ada", file, rep_in="17V").rep_in == "17V"

    def test_nothing_stays_of_a_file_that_holds_no_samples(
        self, datasets: Datasets, tmp_path: Path
    ) -> None:
        np.savez(tmp_path / "bad.npz", X=X, Y=np.where(Y[3] == Y, np.nan, Y))
        with pytest.raises(FormatError, match="Y is not finite in row 3"):
            datasets.add("ada", tmp_path / "bad.npz")
        assert datasets.page() == ([], None)
        assert [path for path in (tmp_path / "objects").rglob("*") if path.is_file()] == []


class TestFinding:
    def test_another_s_dataset_is_not_there(self, datasets: Datasets, file: Path) -> None:
        stored = datasets.add("ada", file)
        with refused("not-found"):
            datasets.get(stored.id, "bob")
        assert datasets.get(stored.id).owner == "ada"

    @pytest.mark.slow
    def test_pages_have_all_of_them_the_newest_first(
        self, datasets: Datasets, tmp_path: Path
    ) -> None:
        path = tmp_path / "samples.npz"
        sent = []
        for i in range(5):
            np.savez(path, X=X + i, Y=Y)
            sent.append(datasets.add("ada", path, str(i)))
        datasets.add("bob", path)
        found, cursor = [], None
        while True:
            page, cursor = datasets.page("ada", cursor, limit=2)
            found += page
            if cursor is None:
                break
        assert [one.name for one in found] == ["4", "3", "2", "1", "0"]
        assert len(datasets.page()[0]) == 6

    @pytest.mark.parametrize("cursor", ["", "x", "1~2~3", "nan~" + "0" * 64 + "~a", "1" * 400])
    def test_what_is_no_cursor_is_refused(self, datasets: Datasets, cursor: str) -> None:
        with pytest.raises(ProblemError, match="is not a cursor"):
            datasets.page("ada", cursor)

    def test_built_in_ones_need_not_be_sent(self, datasets: Datasets) -> None:
        facts = datasets.info(BuiltIn(name="O5Synthetic", size=50, seed=0))
        assert (facts.width_in, facts.width_out, facts.group) == (10, 1, "O(5)")


class TestDeleting:
    def test_the_samples_go_with_the_last_who_has_them(
        self, datasets: Datasets, objects: FolderObjects, file: Path
    ) -> None:
        stored = datasets.add("ada", file)
        datasets.add("bob", file)
        datasets.delete(stored.id, "ada")
        with refused("not-found"):
            datasets.get(stored.id, "ada")
        assert objects.path(stored.id) is not None
        datasets.delete(stored.id, "bob")
        assert objects.path(stored.id) is None

    def test_one_deletes_one_s_own(self, datasets: Datasets, file: Path) -> None:
        stored = datasets.add("ada", file)
        with refused("not-found"):
            datasets.delete(stored.id, "bob")
        assert datasets.get(stored.id, "ada") == stored

    def test_sent_again_it_is_there_again(
        self, datasets: Datasets, objects: FolderObjects, file: Path
    ) -> None:
        stored = datasets.add("ada", file)
        datasets.delete(stored.id, "ada")
        assert datasets.add("ada", file).id == stored.id
        assert objects.path(stored.id) is not None

    @pytest.mark.slow
    def test_whoever_sends_while_another_deletes_has_the_samples(
        self, datasets: Datasets, objects: FolderObjects, file: Path
    ) -> None:
        digest = datasets.add("bob", file).id

        def take_turns(number: int) -> None:
            if number % 2:
                datasets.delete(digest, datasets.add(f"other-{number}", file).owner)
            else:
                datasets.add("ada", file)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(take_turns, range(24)))
        datasets.delete(digest, "bob")
        assert datasets.get(digest, "ada").id == digest
        assert objects.path(digest) is not None
