"""Models at a service: called there, brought here, listed and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from helpers.example_models import bytes_only, small_model, trained
from helpers.scripted_service import (
    Reply,
    Request,
    json_reply,
    model_document,
    page_of,
    scripted_service,
    version_document,
)
from helpers.service import running_service
from intertwine.errors import FormatError, InvalidSetting, NotFound
from intertwine.groups import SU
from intertwine.nn import load
from intertwine.reps import V
from intertwine_api.client import AsyncClient, Client, models
from intertwine_api.client.errors import ServiceError
from intertwine_api.storage.database import Database
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.models import Models
from intertwine_api.wire.safetensors_body import SAFETENSORS

SHORT = ("short", "shorter", "shortest")
X = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)


def small_complex_model() -> Any:
    return small_model(rep_in=2 * V, rep_out=V, group=SU(2))


def publish(data: Path) -> None:
    """Give a service that is still to be started some models."""
    data.mkdir()
    database = Database(f"sqlite:///{data / 'intertwine.db'}")
    try:
        database.migrate()
        registry = Models(database, FolderObjects(data / "objects"))
        registry.publish("small", "local", None, trained(small_model(key=1)))
        registry.publish("small", "local", None, trained(small_model()))
        registry.publish("complex", "local", None, trained(small_complex_model()))
        registry.publish("broken", "local", None, bytes_only(b"no weights"))
        for name in ("brief", *SHORT):
            registry.publish(name, "local", None, trained(small_model()))
    finally:
        database.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    data = tmp_path_factory.mktemp("models") / "data"
    publish(data)
    with running_service(data, jobs="0") as http, Client(str(http.base_url)) as lab:
        yield lab


def close(ours: Any, theirs: Any) -> bool:
    return bool(np.allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-4, atol=1e-5))


class TestCalling:
    @pytest.mark.parametrize("shape", [(8,), (1, 8), (6, 8), (2, 3, 8), (0, 8), (2, 0, 8)], ids=str)
    def test_any_batch_of_vectors_will_do(self, lab: Client, shape: tuple[int, ...]) -> None:
        x = np.resize(X, shape)
        found = lab.model("small").forward(x)
        assert found.shape == (*shape[:-1], 3)
        assert close(small_model()(x), found)

    def test_so_will_lists_and_other_numbers(self, lab: Client) -> None:
        model = lab.model("small")
        assert close(model(X.tolist()), small_model()(X))
        assert close(model(X.astype(np.float64)), small_model()(X))
        assert model(np.arange(8)).shape == (3,)

    def test_many_go_in_parts(self, lab: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(models, "_ROWS", 4)
        assert close(lab.model("small")(X), small_model()(X))

    @pytest.mark.slow
    def test_complex_vectors_go_and_come(self, lab: Client) -> None:
        x = X[:, :4] + 1j * X[:, 4:]
        assert close(lab.model("complex")(x), small_complex_model()(x))
        assert close(lab.model("complex")(x[0]), small_complex_model()(x[0]))

    def test_a_version_may_be_named(self, lab: Client) -> None:
        assert lab.model("small").version == 2
        assert not close(lab.model("small", version=1)(X), small_model()(X))

    def test_it_can_be_awaited_by_many_at_once(self, lab: Client) -> None:
        found: list[Any] = [None] * len(X)

        async def ask() -> None:
            async with AsyncClient(lab.url) as there, anyio.create_task_group() as group:
                model = await there.model("small")

                async def one(i: int) -> None:
                    found[i] = await model(X[i])

                for i in range(len(X)):
                    group.start_soon(one, i)

        anyio.run(ask)
        assert close(np.stack(found), small_model()(X))

    @pytest.mark.parametrize("shape", [(5,), (2, 7)], ids=str)
    def test_vectors_of_another_size_are_refused(self, lab: Client, shape: Any) -> None:
        with pytest.raises(ServiceError) as caught:
            lab.model("small")(np.ones(shape))
        assert caught.value.code == "invalid-request"

    def test_a_number_is_refused_here(self, lab: Client) -> None:
        with pytest.raises(InvalidSetting, match="give vectors, an array of shape"):
            lab.model("small")(3.0)


class TestBringingHome:
    def test_it_is_the_model(self, lab: Client) -> None:
        assert close(lab.model("small").download()(X), small_model()(X))

    def test_saved_it_is_read_by_the_library(self, lab: Client, tmp_path: Path) -> None:
        for version in (1, 2):  # which leaves no weights of the first
            lab.model("small", version=version).save(tmp_path / "here")
        assert len(list((tmp_path / "here").iterdir())) == 2
        assert close(load(tmp_path / "here")(X), small_model()(X))

    def test_what_is_no_model_is_told(self, lab: Client, tmp_path: Path) -> None:
        with pytest.raises(FormatError):
            lab.model("broken").download()
        with pytest.raises(FormatError, match="None is not the name of a weights file"):
            lab.model("broken").save(tmp_path / "here")
        assert not (tmp_path / "here").exists()

    def test_no_file_is_written_elsewhere(self, tmp_path: Path) -> None:
        digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of nothing

        def answer(request: Request) -> Reply:
            config = {"weights": "../outside.safetensors"}
            if "blobs" in request.path:
                return Reply(200, b"", {"content-type": SAFETENSORS})
            return json_reply(version_document(weights=digest, bytes=0, config=config))

        with (
            scripted_service(answer) as there,
            Client(there.url) as lab,
            pytest.raises(FormatError, match=r"'\.\./outside\.safetensors' is not the name"),
        ):
            lab.model("small", version=1).save(tmp_path / "here")
        assert list(tmp_path.iterdir()) == []


class TestLists:
    def test_everybody_s_models_by_name(self, lab: Client) -> None:
        found = {model.name: model.version for model in lab.models()}
        passing = dict.fromkeys(("brief", *SHORT), 1)
        assert found | passing == {**passing, "broken": 1, "complex": 1, "small": 2}

    def test_versions_are_listed_with_what_is_known(self, lab: Client) -> None:
        newest, oldest = lab.model("small").versions()
        assert (newest.version, oldest.version) == (2, 1)
        assert newest.metrics["test_loss"] == 0.25
        assert (newest.equivariance_error, newest.is_equivariant) == (3e-8, True)
        assert repr(newest) == (
            "<Model small, version 2, test loss 0.25, equivariance error 3.0e-08>"
        )
        assert "<td>3.0e-08</td>" in newest._repr_html_()

    def test_one_that_is_off_is_marked(self, lab: Client) -> None:
        model = lab.model("small")
        off = {**model.document, "equivariance_error": 0.1, "is_equivariant": False}
        model.document = off
        assert repr(model).endswith("equivariance error 1.0e-01, not equivariant>")

    def test_those_of_a_list_know_where_they_come_from(self, lab: Client) -> None:
        whole = lab.model("small")
        assert whole.document["provenance"] == whole.provenance()
        for model in (
            next(model for model in lab.models() if model.name == "small"),
            whole.versions()[0],
        ):
            assert "provenance" not in model.document
            assert model.provenance() == whole.provenance()
            assert model.config() == whole.config()
            assert model.document == whole.document

    def test_what_was_asked_for_once_is_not_asked_for_again(self) -> None:
        whole = version_document(provenance={"jax": "1"})
        listed = {k: v for k, v in whole.items() if k not in ("config", "provenance")}
        page = page_of(model_document(newest=listed))
        replies = [json_reply(page), json_reply(whole)]
        with scripted_service(replies) as there, Client(there.url) as lab:
            (model,) = lab.models()
            assert (model.provenance(), model.config()) == ({"jax": "1"}, {})
        assert [request.path for request in there.asked][1:] == ["/v1/models/small/versions/1"]

    def test_where_it_is_awaited_too(self, lab: Client) -> None:
        async def ask() -> Any:
            async with AsyncClient(lab.url) as there:
                models = await there.models()
                return [await model.provenance() for model in models if model.name == "small"]

        assert anyio.run(ask) == [lab.model("small").provenance()]

    def test_one_that_is_not_there(self, lab: Client) -> None:
        with pytest.raises(NotFound):
            lab.model("nothing")
        with pytest.raises(NotFound):
            lab.model("small", version=9)

    def test_deleted_it_is_gone(self, lab: Client) -> None:
        lab.model("brief").delete()
        with pytest.raises(NotFound, match="every version of the model brief was deleted"):
            lab.model("brief")
        assert "brief" not in [model.name for model in lab.models()]

    @pytest.mark.parametrize("name", ["short", "shorter"])
    def test_deleted_with_its_name_it_was_never_there(self, lab: Client, name: str) -> None:
        if name == "shorter":
            lab.model(name).delete()  # which leaves the name
        lab.delete_model(name)
        with pytest.raises(NotFound, match=f"there is no model {name}"):
            lab.model(name)
        with pytest.raises(NotFound):
            lab.delete_model(name)

    def test_so_it_is_where_that_is_awaited(self, lab: Client) -> None:
        async def delete() -> None:
            async with AsyncClient(lab.url) as there:
                await there.delete_model("shortest")

        anyio.run(delete)
        with pytest.raises(NotFound):
            lab.model("shortest")
