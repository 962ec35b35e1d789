"""The pages of models: the list, a model, a version, and their deletion."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import numpy as np
import pytest
from helpers.driven_jobs import DrivenJobs
from helpers.example_models import TrainedModel, small_model
from helpers.read_pages import EVIL, HTML, code_of, read_page, text_of, token_of
from helpers.service import problem
from intertwine.nn import load
from intertwine.nn.saving import to_config
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.models import Models, Version

METRICS = {
    **{"loss": "mse", "train_loss": 0.125, "test_loss": 0.25, "validation_loss": None},
    **{"best_epoch": 7, "epochs": 10, "seconds": 65.0, "stopped": "all epochs"},
}
PROVENANCE = {
    "versions": {"jax": "0.10.2", "intertwine": "0.1.0"},
    "device": f"cpu {EVIL}",
    "data": {"name": "Inertia", "size": 30},
    "seeds": {"training": 3, "model": 5},
    "training": {"dtype": "float32", "epochs": 10},
    "model": {
        **{"type": "EMLP", "group": "SO(3)", "rep_in": "2V0+2V", "rep_out": "V"},
        **{"ch": 12, "num_layers": 1},
    },
}


@pytest.fixture(scope="module")
def models(driven: DrivenJobs) -> Models:
    return Models(driven.database, FolderObjects(driven.data / "objects"))


def published(
    models: Models, name: str, owner: str = "ada", job: str | None = None, **changes: object
) -> Version:
    config, blob = to_config(small_model(key=1))
    fields = {"metrics": METRICS, "provenance": PROVENANCE, **changes}
    return models.publish(name, owner, job, TrainedModel(config, blob, **fields))


@pytest.fixture(scope="module")
def inertia(driven: DrivenJobs, models: Models) -> Iterator[str]:
    """The address of the second version of a model; its job exists, and is ada's."""
    job = driven.running("ada")
    driven.train(job, range(1, 5))
    published(models, "inertia", metrics={"test_loss": 1.0}, is_equivariant=False)
    version = published(models, "inertia", job=job.id)
    result = {"model": "inertia", "version": version.version}
    driven.queue.succeed(job.id, job.attempt, result)
    yield f"/models/inertia/versions/{version.version}"
    models.delete("inertia")


def get(driven: DrivenJobs, path: str, owner: str = "root") -> str:
    return read_page(driven.client, path, driven.keys[owner])


class TestList:
    def test_models_with_their_newest_versions(
        self, driven: DrivenJobs, models: Models, inertia: str
    ) -> None:
        published(models, "Empty")
        models.delete("Empty", 1)
        text = get(driven, "/models")
        told = text_of(text)
        assert "inertia ada 2 version 2 JAX 0.25 3.0e-08, rounding" in told
        assert "Empty ada 0 all deleted – – –" in told
        assert f'href="/lab{inertia}"' in text
        models.delete("Empty")

    def test_pages(self, driven: DrivenJobs, models: Models) -> None:
        names = [f"many-{i:02}" for i in range(52)]
        for name in names:
            published(models, name)
        first = get(driven, "/models?after=inertia")
        following = re.search(r'href="([^"]+)" rel="next"', first)
        assert following is not None
        second = get(driven, urljoin("/models", following[1].removeprefix("/lab")))
        found = re.findall(r'<th scope="row"><a href="/lab/models/([\w-]+)"', first + second)
        assert found[:52] == names
        assert "The first models" in second
        for name in names:
            models.delete(name)

    def test_a_list_without_models_says_how_to_make_one(self, driven: DrivenJobs) -> None:
        text = get(driven, "/models?after=zzz")
        assert "POST /v1/jobs" in text
        assert 'href="/lab/datasets"' in text.partition("<main")[2]
        problem(driven.client.get("/models?after=..%2F"), 422, "invalid-request")


class TestModel:
    def test_its_versions_are_the_newest_first(self, driven: DrivenJobs, inertia: str) -> None:
        text = get(driven, "/models/inertia", "bob")
        told = text_of(text)
        assert "version 2 JAX 0.125 0.25 3.0e-08, rounding 10 " in told
        assert "version 1 JAX – 1 3.0e-08, not equivariant – " in told
        assert told.index("version 2") < told.index("version 1")
        assert "Delete" not in told
        older = text_of(get(driven, "/models/inertia?before=2"))
        assert "version 2" not in older
        assert "The newest versions" in older

    @pytest.mark.parametrize("path", ["/models/none", "/models/none/versions/1"])
    def test_a_missing_model_is_not_found(self, driven: DrivenJobs, path: str) -> None:
        answer = driven.client.get(path, headers=HTML)
        assert answer.status_code == 404
        assert "There is no" in answer.text

    @pytest.mark.parametrize("path", ["/models/..%2Fx", "/models/a%3Cb%3E", "/models/a/versions/0"])
    def test_invalid_names_are_refused(self, driven: DrivenJobs, path: str) -> None:
        answer = driven.client.get(path, headers=HTML)
        assert answer.status_code in (404, 422)
        assert "<b>" not in answer.text

    def test_the_pages_need_a_scope_of_models(self, driven: DrivenJobs, inertia: str) -> None:
        for path in ("/models", "/models/inertia", inertia, f"{inertia}/try"):
            problem(driven.client.get(path, headers={"authorization": ""}), 401, "unauthorized")
            problem(driven.client.get(path, headers=driven.keys["reader"]), 403, "forbidden")


class TestVersion:
    def test_it_describes_the_version(self, driven: DrivenJobs, inertia: str) -> None:
        text = get(driven, inertia)
        told = text_of(text)
        assert "error is 3.0e-08, which is rounding: the model is equivariant." in told
        assert (
            "Framework JAX Type EMLP, an equivariant network Group SO(3) Input 2V0+2V Output V "
            "Hidden layers 1 of 12 channels Precision float32 Weights"
        ) in told
        assert "Loss mse Training loss 0.125 Test loss 0.25 Epochs 10 Best epoch 7" in told
        assert "Time 1:05 Ended all epochs" in told
        assert "seeds.training 3" in told
        assert "versions.jax 0.10.2" in told
        assert "written_with.python" in told
        assert "&lt;script&gt;" in text
        first = text_of(get(driven, inertia.replace("/2", "/1")))
        assert "error is 3.0e-08, more than rounding: the model is not equivariant." in first

    def test_it_names_the_framework_that_trained_it(
        self, driven: DrivenJobs, models: Models
    ) -> None:
        config, blob = to_config(small_model(key=1))
        config["framework"] = "torch"
        models.publish("of-torch", "ada", None, TrainedModel(config, blob))
        text = text_of(get(driven, "/models/of-torch/versions/1"))
        assert "Framework PyTorch" in text
        assert "needs the extra torch" in text
        assert "Then intertwine.torch.load('of-torch') reads the model" in text.replace(
            "&#39;", "'"
        )
        models.delete("of-torch")

    def test_the_weights_are_counted_without_constants(
        self, driven: DrivenJobs, inertia: str
    ) -> None:
        import equinox as eqx
        import jax

        leaves = jax.tree.leaves(eqx.filter(small_model(key=1), eqx.is_inexact_array))
        count = sum(leaf.size for leaf in leaves)
        assert f"Weights {count:,} numbers" in text_of(get(driven, inertia))

    def test_callers_who_may_see_its_job_see_the_curves(
        self, driven: DrivenJobs, inertia: str
    ) -> None:
        for owner, is_seen in (("root", True), ("ada", True), ("bob", False)):
            text = get(driven, inertia, owner)
            assert ("The training job" in text) == is_seen
            assert (re.search(r'<img src="/lab/jobs/losses.svg\?job=\w+', text) is not None) == (
                is_seen
            )

    def test_it_leads_to_its_group_and_its_data(self, driven: DrivenJobs, models: Models) -> None:
        digest, job = "5" * 64, driven.running("ada")
        published(
            models, "linked", job=job.id, provenance={**PROVENANCE, "data": {"digest": digest}}
        )
        text = get(driven, "/models/linked/versions/1", "ada")
        assert '<a href="/lab/groups?name=SO%283%29">SO(3)</a>' in text
        assert f'<a href="/lab/datasets/{digest}?owner=ada">{digest}</a>' in text
        assert f"/datasets/{digest}" not in get(driven, "/models/linked/versions/1", "bob")
        models.delete("linked")

    def test_a_job_leads_to_its_model(self, driven: DrivenJobs, inertia: str) -> None:
        job = re.search(r'href="/lab(/jobs/\w+)"', get(driven, inertia))
        assert job is not None
        assert f'href="/lab{inertia}">Show the model' in get(driven, job[1])

    def test_downloads_make_a_model(self, driven: DrivenJobs, inertia: str, tmp_path: Path) -> None:
        links = re.findall(r'href="/lab([^"]+)" download="([^"]+)"', get(driven, inertia))
        assert [name for _, name in links][2:] == ["inertia-2.json"]
        for path, name in links:
            answer = driven.client.get(path)
            assert answer.status_code == 200, path
            (tmp_path / name).write_bytes(answer.content)
        x = np.ones((1, 8), np.float32)
        np.testing.assert_array_equal(load(tmp_path)(x), small_model(key=1)(x))

    def test_the_code_on_it_is_valid_and_its_addresses_exist(
        self, driven: DrivenJobs, inertia: str, tmp_path: Path
    ) -> None:
        text = get(driven, inertia)
        python, command, curl = (code_of(text, name) for name in ("python", "command-line", "curl"))
        calls = [node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Call)]
        values = [node.value for call in calls for node in call.args if hasattr(node, "value")]
        address = f"{str(driven.client.base_url).rstrip('/')}/lab"
        assert values[:2] == ["inertia", 2]
        assert address in values
        words = shlex.split(command)
        assert words == [
            "intertwine",
            "models",
            "get",
            "inertia",
            "--version",
            "2",
            "--remote",
            address,
        ]
        key = driven.keys["root"]["authorization"].removeprefix("Bearer ")
        subprocess.run(
            ["sh", "-c", curl], cwd=tmp_path, env={"INTERTWINE_KEY": key}, check=True, timeout=60
        )
        assert len(list((tmp_path / "inertia").iterdir())) == 2
        load(tmp_path / "inertia")

    def test_lost_weights(self, driven: DrivenJobs, models: Models) -> None:
        config, _ = to_config(small_model(key=1))
        version = models.publish("lost", "ada", None, TrainedModel(config, b"lost"))
        FolderObjects(driven.data / "objects").remove(version.weights)
        assert "weights lost" in get(driven, "/models/lost")
        text = get(driven, "/models/lost/versions/1")
        assert "The weights are lost." in text
        assert "Weights (safetensors)" not in text
        answer = driven.client.get("/models/lost/versions/1/try", headers=HTML)
        assert answer.status_code == 410
        assert "restore them from a backup" in answer.text
        models.delete("lost")

    @pytest.mark.parametrize(
        "provenance",
        [
            {},
            {"model": {"weights": "0" * 64}},
            {"model": {"type": EVIL, "ch": ["V", 3], "group": {"d": 3}}},
            {"seed": 0, "long": {str(i): "x" * 1000 for i in range(500)}},
        ],
    )
    def test_any_provenance(
        self, driven: DrivenJobs, models: Models, provenance: dict[str, object]
    ) -> None:
        config = {"model_sha256": "0" * 64, "summary": EVIL, "weights": "../x"}
        model = TrainedModel(config, b"no weights", {"warnings": [EVIL]}, None, True, provenance)
        models.publish("odd", "ada", None, model)
        text = get(driven, "/models/odd/versions/1")
        assert "was not measured" in text
        assert len(text) < 150_000
        models.delete("odd")


class TestDeletion:
    def form(self, driven: DrivenJobs, path: str, owner: str = "ada") -> dict[str, str]:
        return {"token": token_of(get(driven, path, owner), f"{path}/delete")}

    def test_the_owner_deletes_a_version_and_the_model(
        self, driven: DrivenJobs, models: Models
    ) -> None:
        published(models, "short-lived")
        published(models, "short-lived")
        for path, typed, leads_to in (
            ("/models/short-lived/versions/1", "short-lived/1", "/lab/models/short-lived"),
            ("/models/short-lived", "short-lived", "/lab/models"),
        ):
            form = self.form(driven, path)
            for wrong in ("", "another", EVIL):
                answer = self.post(driven, path, {**form, "confirmation": wrong})
                assert answer.status_code == 422
                assert f"type {typed} to delete it" in answer.text
                assert EVIL not in answer.text
            answer = self.post(driven, path, {**form, "confirmation": f" {typed} "})
            assert (answer.status_code, answer.headers["location"]) == (303, leads_to)
            assert driven.client.get(path, headers=HTML).status_code == 404

    def post(
        self, driven: DrivenJobs, path: str, form: dict[str, str], owner: str = "ada"
    ) -> httpx.Response:
        headers = {**HTML, **driven.keys[owner]}
        return driven.client.post(f"{path}/delete", data=form, headers=headers)

    def test_other_callers_and_forms_are_refused(self, driven: DrivenJobs, inertia: str) -> None:
        model = {"confirmation": "inertia"}
        assert "Delete the model" not in get(driven, "/models/inertia", "bob")
        assert "Delete the version" not in get(driven, inertia, "bob")
        ours = self.form(driven, "/models/inertia")
        for owner, form in (("bob", ours), ("root", ours), ("ada", {}), ("ada", {"token": "x"})):
            answer = self.post(driven, "/models/inertia", {**form, **model}, owner)
            assert answer.status_code == 403
        foreign = self.form(driven, inertia)  # the token of a version
        assert self.post(driven, "/models/inertia", {**foreign, **model}).status_code == 403
        path = "/models/inertia/delete"
        problem(driven.client.post(path, json=ours), 415, "unsupported-media-type")
        problem(driven.client.post(path, headers=driven.keys["reader"]), 403, "forbidden")
        assert driven.client.get(path).status_code == 405
        get(driven, inertia)
