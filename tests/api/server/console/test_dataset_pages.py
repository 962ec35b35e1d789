"""The pages of datasets: the list, the upload, a dataset with its samples, and whose are shown."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest
from helpers.driven_jobs import TRAINING, DrivenJobs
from helpers.example_lab import LARGEST, Lab, log_in
from helpers.service import UNKNOWN, problem
from intertwine.reps import Rep, read_rep
from intertwine.training.recipe.samples import Samples
from intertwine_api.server.console.dataset_preview import ShownSamples, preview_samples
from intertwine_api.server.console.dataset_snippets import upload_snippets
from intertwine_api.storage.bucket import BucketUnavailable
from intertwine_api.storage.folder_objects import FolderObjects
from intertwine_api.storage.objects import Objects
from intertwine_api.storage.tables import datasets
from safetensors.numpy import load, save
from sqlalchemy import insert

HTML = {"accept": "text/html"}
FILE = {"content-type": "application/octet-stream"}
EVIL = "<script>alert(1)</script>"
CROSSES = {"name": "crosses", "rep_in": "V+V", "rep_out": "V.T", "group": "SO(3)"}
LABELS = {"shape": [30], "dtype": "int64", "labels": [0, 8]}
TURNS = {"discrete_generators": [[[0, -1], [1, 0]]], "name": f"turns {EVIL}"}
_RANDOM = np.random.default_rng(0)


def crosses(seed: int = 0, samples: int = 30) -> bytes:
    X = np.random.default_rng(seed).normal(size=(samples, 6)).astype(np.float32)
    return save({"X": X, "Y": np.cross(X[:, :3], X[:, 3:])})


def page(driven: DrivenJobs, path: str, owner: str = "root") -> str:
    answer = driven.client.get(path, headers={**driven.keys[owner], **HTML})
    assert answer.status_code == 200, answer.text
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "<script>" not in answer.text
    assert not re.search(r"<style|\sstyle=|\son\w+=", answer.text)
    return answer.text


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def section(html: str, heading: str) -> str:
    """The text below a heading, up to the next one of its level or above."""
    found = re.search(rf"<h(\d)[^>]*>{heading}.*", html, re.DOTALL)
    assert found, heading
    return text_of(re.split(rf"(?<!^)<h[1-{found[1]}]|</section>", found[0])[0])


def stored(driven: DrivenJobs, content: bytes, owner: str = "ada", **query: str) -> str:
    """The path of the page of a dataset that was uploaded by the API."""
    answer = driven.client.post(
        "/v1/datasets", content=content, params=query, headers={**driven.keys[owner], **FILE}
    )
    assert answer.status_code == 201, answer.text
    return f"/datasets/{answer.json()['id']}"


_COUNT = itertools.count(1)


def recorded(driven: DrivenJobs, owner: str = "ada", number: int = 1, **facts: Any) -> list[str]:
    """The paths of the pages of datasets, the oldest first. They are in the database alone."""
    rows = [
        {
            **{"id": f"{count:064x}", "created": 2e9 + count},  # newer than any upload
            **{"owner": owner, "name": "", "samples": 30, "bytes": 1000},
            **{"rep_in": None, "rep_out": None, "group": None},
            "inputs": {"shape": [30, 6], "dtype": "float32"},
            "targets": {"shape": [30, 3], "dtype": "float32"},
            **facts,
        }
        for count in itertools.islice(_COUNT, number)
    ]
    with driven.database.write() as connection:
        connection.execute(insert(datasets), rows)
    return [f"/datasets/{row['id']}" for row in rows]


@pytest.fixture(scope="module")
def known(driven: DrivenJobs) -> str:
    return stored(driven, crosses(), **CROSSES)


def upload_form(driven: DrivenJobs, owner: str) -> dict[str, str]:
    """The header with the token of the page's form."""
    html = page(driven, "/datasets", owner)
    token = re.findall(r'data-token="(\w+)"', html)[0]
    return {re.findall(r'data-token-header="([\w-]+)"', html)[0]: token}


class TestList:
    def test_it_shows_datasets_in_canonical_form(self, driven: DrivenJobs, known: str) -> None:
        html = page(driven, "/datasets", "ada")
        row = re.findall(rf"<tr>(?:(?!</tr>).)*{known}.*?</tr>", html, re.DOTALL)[0]
        assert text_of(row).startswith("crosses 30 6 numbers 2V 3 numbers V SO(3) 1.")

    def test_it_shows_the_newest_first_in_pages(self, driven: DrivenJobs) -> None:
        sent = recorded(driven, "bob", 51)
        first = page(driven, "/datasets", "bob")
        following = re.search(r'href="([^"]+)" rel="next"', first)
        assert following is not None
        second = page(driven, unescape(following[1]).removeprefix("/lab"), "bob")
        shown = re.findall(r'<th scope="row"><a href="/lab(/datasets/\w+)\?owner=bob"', first)
        assert shown == sent[:0:-1]
        assert sent[0] in second
        assert 'rel="next"' not in second
        assert "The newest datasets" in second
        assert "Built-in datasets" not in second
        answer = driven.client.get("/datasets?after=nonsense", headers=driven.keys["bob"])
        problem(answer, 422, "invalid-request")

    def test_pages_of_owners_with_long_names_have_cursors(self, driven: DrivenJobs) -> None:
        oldest, *others = recorded(driven, "x" * 64, 51)
        first = page(driven, "/datasets")
        assert all(path in first for path in others)
        following = re.search(r'href="/lab([^"]+)" rel="next"', first)
        assert following is not None
        assert oldest in page(driven, unescape(following[1]))

    def test_it_describes_the_built_in_datasets(self, driven: DrivenJobs) -> None:
        found = section(page(driven, "/datasets"), "Built-in datasets")
        assert "Inertia the moment of inertia of five point masses 5V⁰+5V , 20 numbers" in found
        assert "RubiksCube" in found
        assert "scores of the labels 0 to 1" in found

    def test_it_leads_to_the_storage_that_the_caller_uses(self, driven: DrivenJobs) -> None:
        recorded(driven)
        html = page(driven, "/datasets", "ada")
        assert 'id="storage" data-source="/lab/datasets/storage"' in html
        found = section(page(driven, "/datasets/storage", "ada"), "Storage")
        assert re.match(
            r"Storage ada keeps [\d.]+ kB of at most 20 GB\. 0 % Datasets [\d.]+ kB", found
        )


class TestDataset:
    def test_its_facts(self, driven: DrivenJobs, known: str) -> None:
        found = text_of(page(driven, known, "ada"))
        for fact in (
            "crosses Owner ada Samples 30 Input 6 numbers, float32 Target 3 numbers, float32",
            "Rep of an input 2V Rep of a target V Group SO(3)",
            "Do the reps fit? Yes: they have the sizes of the samples.",
        ):
            assert fact in found

    def test_its_first_samples_are_shown_by_the_terms_of_the_rep(
        self, driven: DrivenJobs, known: str
    ) -> None:
        html = page(driven, known, "ada")
        arrays = load(crosses())
        shown = section(html, "Inputs")
        first = " ".join(f"{value:.4g}" for value in arrays["X"][0])
        assert shown.startswith(f"Inputs X Term V V Sample 0 1 2 3 4 5 0 {first} 1 ")
        for name, values in (
            ("Minimum", arrays["X"].min(0)),
            ("Maximum", arrays["X"].max(0)),
            ("Mean", arrays["X"].astype(np.float64).mean(0)),
        ):
            assert f"{name} {' '.join(f'{value:.4g}' for value in values)}" in shown
        assert "are those of all samples." in shown
        assert html.count('colspan="3"') == 3  # V and V, and the target
        assert len(re.findall(r'<th scope="row">\d+</th>', html)) == 20

    @pytest.mark.parametrize(
        ("facts", "says"),
        [
            ({}, "Not known: a training has to give rep_in, rep_out and group."),
            ({"rep_in": "V+V", "rep_out": "V"}, "Not known: a training has to give group."),
            ({"rep_in": "2V(SO(3))", "rep_out": "V(SO(3))"}, "Yes: they have the sizes"),
            ({"rep_in": "V", "rep_out": "V", "group": "SU(6)"}, "acts by complex matrices"),
            (
                {"rep_in": "V", "rep_out": "V", "group": "SO(3)"},
                "No: V(SO(3)) has size 3, and the inputs",
            ),
            ({"rep_in": "V", "rep_out": "V", "group": "Lost(3)"}, "No: expected"),
            (
                {"rep_in": "2V", "rep_out": "3V0", "group": "SO(3)", "targets": LABELS},
                "No: the labels go from 0 to 8, and 3V⁰ has 3 scores",
            ),
        ],
        ids=["no reps", "no group", "own group", "complex", "wide", "not read", "labels"],
    )
    def test_whether_the_reps_fit(
        self, driven: DrivenJobs, facts: dict[str, Any], says: str
    ) -> None:
        (path,) = recorded(driven, **facts)
        assert says in text_of(page(driven, path, "ada"))
        assert path in page(driven, "/datasets", "ada")

    def test_names_and_groups_are_texts(self, driven: DrivenJobs) -> None:
        (path,) = recorded(driven, name=f"a {EVIL}", rep_in="3V", rep_out="V+V0", group=TURNS)
        for shown in (path, f"{path}/samples", "/datasets"):
            html = page(driven, shown, "ada")
            assert "a &lt;script&gt;alert(1)&lt;/script&gt;" in html
        assert "turns &lt;script&gt;" in page(driven, path, "ada")

    def test_downloads(self, driven: DrivenJobs, known: str) -> None:
        html = page(driven, known, "ada")
        links = re.findall(r'class="button" href="/lab([^"]+)" download="([^"]+)"', html)
        assert [name for _, name in links] == ["crosses.safetensors", "crosses.json"]
        get = driven.client.get
        blob, document = (get(unescape(link), headers=driven.keys["ada"]) for link, _ in links)
        np.testing.assert_array_equal(load(blob.content)["X"], load(crosses())["X"])
        assert document.json()["name"] == "crosses"

    def test_large_samples_have_a_page_of_their_own(self, driven: DrivenJobs, known: str) -> None:
        html = page(driven, f"{known}/samples", "ada")
        assert "Minimum" in section(html, "Inputs")
        back = re.findall(r'href="/lab([^"]+)">Back to the dataset', html)[0]
        assert page(driven, unescape(back), "ada") != html

    def test_samples_that_are_missing_are_said_to_be(self, driven: DrivenJobs) -> None:
        (path,) = recorded(driven)
        assert "The samples are missing" in section(page(driven, path, "ada"), "Samples")


class TestPreview:
    def preview(self, folder: Path, X: Any, Y: Any, rep: Rep | None) -> ShownSamples:
        objects = FolderObjects(folder)
        digest, _ = objects.put_content(Samples.of(X, Y).write)
        return preview_samples(digest, rep, None, objects)

    def test_only_a_part_of_many_columns_and_rows_is_read(self, tmp_path: Path) -> None:
        X = np.ones((5000, 300), np.float32)
        X[3333:], X[:, 24:] = 7.0, 7.0
        rep = read_rep("5V+10**9*Alt(4,V)+285V0", "SO(3)")
        inputs, targets = self.preview(tmp_path, X, np.arange(5000) % 4, rep).previews
        assert inputs.summary[2] == ("Maximum", ("1",) * 24)
        assert (inputs.summarized, inputs.left_out, len(inputs.rows)) == (3333, 276, 10)
        assert [(term.rep, term.columns) for term in inputs.terms] == [
            *[("V", 3)] * 5,
            *[("V⁰", 1)] * 9,
        ]
        assert [(name, *row) for name, row in targets.summary] == [
            ("Minimum", "0"), ("Mean", "1.5"), ("Maximum", "3"),
        ]  # fmt: skip
        assert targets.terms == ()

    def test_means_of_large_numbers_do_not_overflow(self, tmp_path: Path) -> None:
        large = np.full((4, 1), 1e308)
        inputs, targets = self.preview(tmp_path, large, -large, None).previews
        assert inputs.summary[1] == ("Mean", ("1e+308",))
        assert targets.summary[1] == ("Mean", ("-1e+308",))

    def test_a_bucket_that_fails_is_said_to(self) -> None:
        class Failing:
            def path(self, digest: str) -> Path | None:
                raise BucketUnavailable("the bucket is away")

        shown = preview_samples(UNKNOWN, None, None, cast(Objects, Failing()))
        assert shown == ShownSamples(
            why_missing="The samples cannot be read now: the bucket fails."
        )


class TestCode:
    def test_a_training_by_its_code_is_accepted(
        self, driven: DrivenJobs, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (path,) = recorded(driven, "bob", **CROSSES)
        code = re.findall(
            r'<pre id="python"[^>]*>(.*?)</pre>', page(driven, path, "bob"), re.DOTALL
        )
        monkeypatch.setenv("INTERTWINE_KEY", driven.keys["bob"]["authorization"].split()[1])
        lines = unescape(code[0]).split("\n")
        assert lines.pop() == "job.watch()"  # this service runs no jobs
        scope: dict[str, Any] = {}
        exec("\n".join(lines), scope)
        job = driven.queue.get(scope["job"].id)
        assert job.request["dataset"] == path.rpartition("/")[2]
        assert job.request["model"]["rep_in"] == "V+V"
        curl = re.findall(r'<pre id="curl"[^>]*>(.*?)</pre>', page(driven, path, "bob"), re.DOTALL)
        body = json.loads(unescape(curl[0]).partition("-d '")[2].rstrip("'"))
        answer = driven.client.post("/v1/jobs", json=body, headers=driven.keys["bob"])
        assert answer.status_code == 202

    def test_an_upload_by_its_code_is_accepted(
        self, driven: DrivenJobs, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        python, _, curl = upload_snippets(f"{lab.address}/lab/", has_key=True)
        monkeypatch.setenv("INTERTWINE_KEY", driven.keys["bob"]["authorization"].split()[1])
        scope: dict[str, Any] = {}
        exec(python.code, scope)
        found = page(driven, f"/datasets/{scope['data'].digest}", "bob")
        assert "Yes: they have the sizes" in text_of(found)
        file = io.BytesIO()
        np.savez(file, X=scope["X"], Y=scope["Y"])
        address = re.findall(r"'(http\S+)'", curl.code)[0]
        zipped = {**driven.keys["bob"], "content-type": "application/zip"}
        answer = driven.client.post(address, content=file.getvalue(), headers=zipped)
        assert answer.json()["id"] == scope["data"].digest
        assert answer.json()["rep_in"] == "V+V"

    def test_others_cannot_train_on_it(self, driven: DrivenJobs, known: str) -> None:
        html = page(driven, f"{known}?owner=ada", "root")
        assert "Only ada can train on this dataset" in text_of(html)
        assert 'id="python"' not in html


class TestUpload:
    @pytest.fixture
    def sender(self, driven: DrivenJobs, lab: Lab) -> Iterator[httpx.Client]:
        """A browser with a session of ada, which sends the token of the form."""
        key = driven.keys["ada"]["authorization"].split()[1]
        with httpx.Client(base_url=lab.address, headers=HTML, timeout=60) as sender:
            log_in(sender, key)
            sender.headers.update({**FILE, **upload_form(driven, "ada")})
            yield sender

    def test_a_file_becomes_a_dataset(self, driven: DrivenJobs, sender: httpx.Client) -> None:
        answer = sender.post("/lab/datasets", content=crosses(5), params={**CROSSES, "name": "é"})
        assert (answer.status_code, answer.content) == (201, b"")
        address = answer.headers["location"]
        assert address.startswith("/lab/datasets/")
        found = text_of(page(driven, address.removeprefix("/lab"), "ada"))
        assert found.count("é") > 1
        assert "Rep of an input 2V Rep of a target V Group SO(3)" in found

    def test_generators_are_its_group(self, driven: DrivenJobs, sender: httpx.Client) -> None:
        content = save({"X": _RANDOM.normal(size=(9, 2)), "Y": _RANDOM.normal(size=(9, 1))})
        query = {"rep_in": "V", "rep_out": "", "generators": json.dumps(TURNS)}
        answer = sender.post("/lab/datasets", content=content, params=query)
        digest = re.findall(r"datasets/(\w+)", answer.headers["location"])[0]
        document = driven.client.get(f"/v1/datasets/{digest}", headers=driven.keys["ada"]).json()
        assert document["group"] == TURNS
        assert document["rep_out"] is None

    @pytest.mark.parametrize(
        ("content", "query", "status", "says"),
        [
            (b"no file", {}, 422, "neither a safetensors file nor an npz file"),
            (crosses(), {"rep_in": "3V", "group": "SO(3)"}, 422, "has size 9"),
            (crosses(), {"group": "SO(3)", "generators": "{}"}, 422, "give one of them"),
            (crosses(), {"generators": f"{{{EVIL}"}, 422, "{&lt;script&gt;alert"),
            (crosses(), {"name": "a\0b"}, 422, "a control character"),
        ],
        ids=["no file", "wide rep", "two groups", "JSON", "NUL"],
    )
    def test_what_is_wrong_is_shown(
        self, sender: httpx.Client, content: bytes, query: dict[str, str], status: int, says: str
    ) -> None:
        answer = sender.post("/lab/datasets", content=content, params=query)
        assert answer.status_code == status
        shown = re.search(r'<div class="problem".*?</div>', answer.text, re.DOTALL)
        assert shown is not None  # the script shows this
        assert says in shown[0]
        assert EVIL not in answer.text

    def test_a_file_over_the_limit_is_refused(self, sender: httpx.Client) -> None:
        answer = sender.post("/lab/datasets", content=bytes(LARGEST + 1))
        assert answer.status_code == 413
        assert "The file is larger than the limit of 10,000,000 bytes" in text_of(answer.text)

    @pytest.mark.parametrize(
        "kind", ["application/json", "multipart/form-data; boundary=x", "text/plain"]
    )
    def test_other_bodies_are_refused(self, sender: httpx.Client, kind: str) -> None:
        answer = sender.post("/lab/datasets", content=crosses(), headers={"content-type": kind})
        assert answer.status_code == 415

    def test_tokens_of_other_forms_are_refused(
        self, driven: DrivenJobs, sender: httpx.Client, known: str
    ) -> None:
        of_deletion = re.findall(r'name="token" value="(\w+)"', page(driven, known, "ada"))[0]
        ((header, of_root),) = upload_form(driven, "root").items()
        for token in ("", "x", of_deletion, of_root, "é"):
            value = token.encode("latin-1")
            answer = sender.post("/lab/datasets", content=crosses(8), headers={header: value})
            assert answer.status_code == 403, token
            assert "open the page again" in answer.text
        del sender.headers[header]
        assert sender.post("/lab/datasets", content=crosses(8)).status_code == 403
        assert (
            sender.post(
                "/datasets", content=crosses(8), headers={header: of_root, "origin": "null"}
            ).status_code
            == 403
        )

    def test_without_a_session_or_the_scope_it_is_refused(
        self, driven: DrivenJobs, known: str
    ) -> None:
        form = {**upload_form(driven, "ada"), **FILE}
        post = driven.client.post
        answer = post("/datasets", content=crosses(), headers={**form, "authorization": ""})
        problem(answer, 401, "unauthorized")
        answer = post("/datasets", content=crosses(), headers={**form, **driven.keys["reader"]})
        problem(answer, 403, "forbidden")
        for path in ("/datasets", "/datasets/storage", known):
            problem(driven.client.get(path, headers=driven.keys["reader"]), 403, "forbidden")


class TestDeletion:
    def form(self, driven: DrivenJobs, path: str, owner: str) -> tuple[str, dict[str, str]]:
        html = page(driven, path, owner)
        found = re.search(r'action="/lab([^"]+/delete[^"]*)".*?value="(\w+)"', html, re.DOTALL)
        assert found is not None
        return unescape(found[1]), {"token": found[2]}

    @pytest.mark.parametrize("owner", ["ada", "root"])
    def test_owners_and_admins_delete(self, driven: DrivenJobs, owner: str) -> None:
        (path,) = recorded(driven)
        address, form = self.form(driven, path, owner)
        answer = driven.client.post(address, data=form, headers=driven.keys[owner])
        assert (answer.status_code, answer.headers["location"]) == (303, "/lab/datasets")
        problem(driven.client.get(path, headers=driven.keys["ada"]), 404, "not-found")
        answer = driven.client.post(address, data=form, headers=driven.keys[owner])
        problem(answer, 404, "not-found")

    def test_other_forms_are_refused(self, driven: DrivenJobs, known: str) -> None:
        address, form = self.form(driven, known, "ada")
        _, of_other = self.form(driven, recorded(driven)[0], "ada")
        (upload,) = upload_form(driven, "ada").values()
        for wrong in ({"token": ""}, {"token": upload}, of_other):
            answer = driven.client.post(address, data=wrong, headers=driven.keys["ada"])
            problem(answer, 403, "origin-not-allowed")
        answer = driven.client.post(address, data=form, headers=driven.keys["root"])
        problem(answer, 403, "origin-not-allowed")
        answer = driven.client.post(address, json=form, headers=driven.keys["ada"])
        problem(answer, 415, "unsupported-media-type")
        problem(driven.client.get(address, headers=driven.keys["ada"]), 405, "method-not-allowed")
        assert page(driven, known, "ada")


class TestOwners:
    def test_only_admins_see_the_datasets_of_others(self, driven: DrivenJobs) -> None:
        (path,) = recorded(driven, name="a secret")
        get = driven.client.get
        for owner, is_seen in (("ada", True), ("root", True), ("bob", False)):
            assert ("a secret" in page(driven, "/datasets", owner)) == is_seen
            assert (">Owner<" in page(driven, "/datasets", owner)) == (owner == "root")
            for shown in (path, f"{path}/samples"):
                answer = get(shown, headers={**driven.keys[owner], **HTML})
                assert answer.status_code == (200 if is_seen else 404)
                assert ("secret" in answer.text) == is_seen
        problem(get(f"{path}?owner=ada", headers=driven.keys["bob"]), 403, "forbidden")
        answer = driven.client.post(f"{path}/delete?owner=ada", data={}, headers=driven.keys["bob"])
        problem(answer, 403, "forbidden")

    def test_an_admin_names_one_of_several_owners(self, driven: DrivenJobs) -> None:
        (path,) = recorded(driven, name="of ada")
        recorded(driven, "bob", id=path.rpartition("/")[2], name="of bob")
        problem(driven.client.get(path, headers=driven.keys["root"]), 422, "invalid-request")
        for owner in ("ada", "bob"):
            assert f"<h1>of {owner}</h1>" in page(driven, f"{path}?owner={owner}")
        html = page(driven, "/datasets")
        assert all(f"{path}?owner={owner}" in html for owner in ("ada", "bob"))

    @pytest.mark.parametrize(
        ("path", "status", "code"),
        [
            (f"/datasets/{UNKNOWN}", 404, "not-found"),
            (f"/datasets/{UNKNOWN}/samples", 404, "not-found"),
            ("/datasets/wrong", 422, "invalid-request"),
            (f"/datasets/{UNKNOWN}?owner=a%00b", 422, "invalid-request"),
        ],
    )
    def test_unknown_datasets(self, driven: DrivenJobs, path: str, status: int, code: str) -> None:
        problem(driven.client.get(path), status, code)
        assert driven.client.get(path, headers=HTML).status_code == status


class TestJobs:
    def test_the_settings_of_a_training_lead_to_its_dataset(
        self, driven: DrivenJobs, known: str
    ) -> None:
        digest = known.rpartition("/")[2]
        job = driven.queued("ada", request={**TRAINING, "dataset": digest})
        for path in (f"/jobs/{job.id}", f"/jobs/compare?job={job.id}"):
            html = page(driven, path)
            link = re.findall(rf'href="/lab([^"]+)">{digest}</a>', html)
            assert link == [f"{known}?owner=ada"]
            assert "<h1>crosses</h1>" in page(driven, link[0])

    def test_other_datasets_are_texts(self, driven: DrivenJobs) -> None:
        job = driven.queued("ada", request={**TRAINING, "dataset": f"{UNKNOWN}{EVIL}"})
        html = page(driven, f"/jobs/{job.id}")
        assert 'href="/lab/datasets/' not in html
        assert f"{UNKNOWN}&lt;script&gt;" in html
