"""The pages of jobs: the list, a job, its actions, and whose jobs are shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from helpers.driven_jobs import TRAINING, DrivenJobs, driven_jobs
from helpers.example_lab import Lab, log_in
from helpers.service import ServiceProcess, problem, service_process
from intertwine.reps import read_rep
from intertwine_api.wire.problems import Problem

HTML = {"accept": "text/html"}
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def trained(driven: DrivenJobs) -> str:
    """The page of a training that runs."""
    job = driven.running(name=f"a {EVIL}", labels=(f"b {EVIL}", "sweep"))
    driven.train(job, range(1, 5))
    return f"/jobs/{job.id}"


def page(driven: DrivenJobs, path: str) -> str:
    answer = driven.client.get(path, headers=HTML)
    assert answer.status_code == 200, answer.text
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text
    assert not re.search(r"<style|\sstyle=|\son\w+=", answer.text)
    return answer.text


def part(text: str, name: str) -> str:
    """The text of the element with this id, up to the next one that has an id."""
    found = re.search(rf'id="{name}"[^>]*>(.*?)(?=<\w+ id=|\Z)', text, re.DOTALL)
    assert found, name
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split())


def shown(text: str) -> list[str]:
    """The ids of the jobs in a list."""
    return re.findall(r'<th scope="row"><a href="[^"]*jobs/(\w+)"', text)


class TestList:
    def test_it_shows_the_newest_first_and_why_they_wait(self, driven: DrivenJobs) -> None:
        jobs = [driven.queued(name=f"job {i}", labels=("waits",)) for i in range(3)]
        text = page(driven, "/jobs?label=waits")
        assert shown(text) == [job.id for job in reversed(jobs)]
        told = part(text, f"state-{jobs[-1].id}")
        assert re.fullmatch(r"queued : number \d+ in the queue: \d+ jobs? (is|are) ahead.*", told)
        at = re.search(r'<time datetime="([\d-]{10}T[\d:]{8}Z)">[\d-]{10} [\d:]{8}</time>', text)
        assert at is not None

    def test_filters(self, driven: DrivenJobs) -> None:
        job = driven.queued(labels=("filtered",))
        ended = driven.queued(labels=("filtered",))
        driven.queue.cancel(ended.id, "by a test")
        for query, found in (
            ("", [ended, job]),
            ("&state=queued&kind=&owner=", [job]),
            ("&state=cancelled", [ended]),
            ("&kind=solve", []),
            ("&owner=nobody", []),
        ):
            text = page(driven, f"/jobs?label=filtered{query}")
            assert shown(text) == [job.id for job in found], query
        assert "<option selected>cancelled</option>" in page(driven, "/jobs?state=cancelled")
        answer = driven.client.get("/jobs?state=lost")
        problem(answer, 422, "invalid-request")
        problem(driven.client.get("/jobs?after=nonsense"), 422, "invalid-request")

    def test_pages(self, driven: DrivenJobs) -> None:
        jobs = [driven.queued(labels=("paged",)).id for _ in range(51)]
        first = page(driven, "/jobs?label=paged")
        following = re.search(r'href="([^"]+)" rel="next"', first)
        assert following is not None
        address = urljoin("/jobs", following[1].replace("&amp;", "&"))
        second = page(driven, address)
        assert shown(first) + shown(second) == jobs[::-1]
        assert 'rel="next"' not in second
        assert "The newest jobs" in second

    def test_a_list_without_jobs_says_how_to_submit_one(self, driven: DrivenJobs) -> None:
        text = page(driven, "/jobs?label=nothing")
        assert "POST /v1/jobs" in text
        assert '<a href="/lab/datasets">the pages of datasets</a>' in text

    def test_jobs_of_one_name_are_told_apart(self, driven: DrivenJobs) -> None:
        jobs = [driven.queued(name="twin", labels=("twins",)) for _ in range(2)]
        text = page(driven, "/jobs?label=twins")
        for job in jobs:
            assert f'<code class="small">{job.id[:6]}</code>' in text


class TestJob:
    def test_it_names_the_framework_of_a_training(self, driven: DrivenJobs) -> None:
        plain = driven.queued(labels=("framed",))
        torch = driven.queued(labels=("framed",), request={**TRAINING, "framework": "torch"})
        assert "<dt>Framework</dt><dd>JAX</dd>" in page(driven, f"/jobs/{plain.id}")
        assert "<dt>Framework</dt><dd>PyTorch</dd>" in page(driven, f"/jobs/{torch.id}")
        assert "<td>train, PyTorch</td>" in page(driven, "/jobs?label=framed")

    def test_a_running_training(self, driven: DrivenJobs, trained: str) -> None:
        text = page(driven, trained)
        assert part(text, "state") == "running : training"
        assert part(text, "progress") == "40 % epoch 4 of 10, 1:05 left"
        assert part(text, "losses").startswith(
            "Training loss 0.25 (epoch 4) Test loss 0.5 (epoch 4) Learning rate 0.003"
        )
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert '<code>training.learning_rate</code></th><td class="value">0.003<' in text
        assert 'aria-live="polite"' in text
        assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in text
        assert re.search(r'data-follow="/lab/v1/jobs/\w+/events\?after=\d+"', text)

    @pytest.mark.slow
    def test_its_picture_is_that_of_the_library(self, driven: DrivenJobs, trained: str) -> None:
        found = re.search(r'<img src="([^"]+)"', page(driven, trained))
        assert found is not None
        picture = driven.client.get(urljoin(trained, found[1].replace("&amp;", "&")))
        assert picture.headers["content-type"] == "image/svg+xml"
        assert "sandbox" in picture.headers["content-security-policy"]
        assert "max-age" in picture.headers["cache-control"]
        assert "learning rate" in picture.text

    def test_a_job_that_failed(self, driven: DrivenJobs) -> None:
        job = driven.running()
        driven.queue.fail(job.id, job.attempt, Problem.of("out-of-memory", f"it is full {EVIL}"))
        text = page(driven, f"/jobs/{job.id}")
        assert part(text, "state").startswith("failed : it is full")
        assert "problems#out-of-memory" in text
        assert "data-follow" not in text
        assert "http-equiv" not in text
        assert ">Retry</button>" in text

    def test_a_solve_leads_to_the_explorer(self, driven: DrivenJobs) -> None:
        group = {"lie_algebra": [[[0, 1], [-1, 0]]], "discrete_generators": []}
        for request, query in (
            ({"rep": "V**2", "group": "SO(3)"}, {"rep": ["V**2"], "group": ["SO(3)"]}),
            ({"rep": "V"}, {"rep": ["V"]}),
            ({"rep": f"V{EVIL}"}, {"rep": [f"V{EVIL}"]}),
            ({"rep": "V**3", "group": group}, {"rep": ["V**3"], "generators": [_json(group)]}),
        ):
            job = driven.running(kind="solve", request=request, subject="0" * 64)
            driven.queue.succeed(job.id, job.attempt, {"rank": 3, "cached": True})
            text = page(driven, f"/jobs/{job.id}")
            found = re.search(r'href="/lab/(\?[^"]+)">Show the basis', text)
            assert found is not None
            assert parse_qs(urlsplit(found[1].replace("&amp;", "&")).query) == query
            assert part(text, "result").startswith("Result Rank 3 Cached yes")
            assert f'href="/lab/v1/bases/{"0" * 64}"' in text

    def test_a_trained_model_is_linked(self, driven: DrivenJobs) -> None:
        job = driven.running()
        result = {"model": "small", "version": 2, "equivariance_error": 1.23456e-07}
        driven.queue.succeed(
            job.id, job.attempt, {**result, "is_equivariant": True, "warnings": ["w!"]}
        )
        text = page(driven, f"/jobs/{job.id}")
        assert 'href="/lab/models/small/versions/2">Show the model' in text
        assert "Equivariance error 1.235e-07 Is equivariant yes" in part(text, "result")
        assert "w!" in part(text, "warnings")
        assert part(text, "progress").startswith("100 %")

    def test_the_end_of_its_log(self, driven: DrivenJobs) -> None:
        job = driven.queued()
        folder = driven.data / "jobs" / job.id
        folder.mkdir(parents=True)
        lines = "".join(f"line {i} of the log\r\n" for i in range(1000))
        (folder / "log").write_text(f"{lines}\x1b[31m{EVIL}\x1b[0m\x00\nend", encoding="utf-8")
        text = page(driven, f"/jobs/{job.id}")
        log = re.search(r'<pre class="log"[^>]*>(.*?)</pre>', text, re.DOTALL)
        assert log is not None
        assert log[1].startswith("line ")
        assert log[1].endswith("line 999 of the log\n&lt;script&gt;alert(1)&lt;/script&gt;\nend")
        assert len(log[1]) < 10_000

    def test_large_settings_are_cut(self, driven: DrivenJobs) -> None:
        many = {f"value {i}": "x" * 10_000 for i in range(500)}
        job = driven.queued(request={**TRAINING, "model": many})
        assert len(page(driven, f"/jobs/{job.id}")) < 150_000

    def test_unknown_jobs(self, driven: DrivenJobs) -> None:
        assert driven.client.get("/jobs/0", headers=HTML).status_code == 404
        problem(driven.client.get("/jobs/a.b"), 422, "invalid-request")


def _json(document: Any) -> str:
    return re.sub(r"\s", "", str(document).replace("'", '"'))


class TestActions:
    def token(self, driven: DrivenJobs, path: str) -> dict[str, str]:
        found = re.search(r'name="token" value="(\w+)"', page(driven, path))
        assert found is not None
        return {"token": found[1]}

    def test_cancel_and_retry(self, driven: DrivenJobs) -> None:
        job = driven.queued()
        path = f"/jobs/{job.id}"
        for action, state in (("cancel", "cancelled"), ("retry", "queued")):
            form = self.token(driven, path)
            answer = driven.client.post(f"{path}/{action}", data=form, follow_redirects=False)
            assert answer.status_code == 303
            assert answer.headers["location"] == f"/lab{path}"
            assert driven.queue.get(job.id).state == state
        answer = driven.client.post(f"{path}/retry", data=self.token(driven, path), headers=HTML)
        assert answer.status_code == 409
        assert "only failed and cancelled jobs can be retried" in answer.text

    def test_other_forms_are_refused(self, driven: DrivenJobs) -> None:
        job, other = driven.queued(), driven.queued()
        path = f"/jobs/{job.id}"
        form, foreign = self.token(driven, path), self.token(driven, f"/jobs/{other.id}")
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ):
            answer = driven.client.post(f"{path}/cancel", data=form, headers=headers)
            problem(answer, 403, "origin-not-allowed")
        for wrong in ({}, {"token": ""}, foreign, {"token": "é" * 32}):
            answer = driven.client.post(
                f"{path}/cancel", data=wrong, headers={"origin": str(driven.client.base_url)}
            )
            assert answer.status_code in (403, 415)
        problem(driven.client.post(f"{path}/cancel", json=form), 415, "unsupported-media-type")
        problem(driven.client.post(f"{path}/delete", data=form), 422, "invalid-request")
        assert driven.client.get(f"{path}/cancel").status_code == 405
        assert driven.queue.get(job.id).state == "queued"

    def test_a_session_may_send_the_forms_of_jobs_alone(self, driven: DrivenJobs, lab: Lab) -> None:
        job = driven.queued("ann")
        path = f"/lab/jobs/{job.id}"
        with httpx.Client(base_url=lab.address, headers=HTML, timeout=60) as visitor:
            log_in(visitor, lab.tokens["jobs:write"])
            form = {"token": re.findall(r'cancel"><[^>]+value="(\w+)"', visitor.get(path).text)[0]}
            assert visitor.post(f"{path}/cancel", data={}).status_code == 415
            assert visitor.post(f"{path}/cancel", data={"token": "x"}).status_code == 403
            assert visitor.post(f"/lab/v1/jobs/{job.id}:cancel").status_code == 401
            assert driven.queue.get(job.id).state == "queued"
            assert visitor.post(f"{path}/cancel", data=form).status_code == 303
            events = visitor.get(f"/lab/v1/jobs/{job.id}/events")
            assert "event: end" in events.text
        assert driven.queue.get(job.id).state == "cancelled"


def test_a_group_of_a_link_is_read_by_the_library() -> None:
    group = {"lie_algebra": [[[0, 1], [-1, 0]]], "discrete_generators": []}
    assert read_rep("V**3", group).size() == 8


class TestOwners:
    def test_only_admins_see_the_jobs_of_others(self, driven: DrivenJobs) -> None:
        job = driven.queued("ada", name="a secret")
        get = driven.client.get
        for owner, is_seen in (("ada", True), ("root", True), ("bob", False)):
            headers = driven.keys[owner]
            assert (job.id in get("/jobs", headers=headers).text) == is_seen
            assert (">Owner<" in get("/jobs", headers=headers).text) == (owner == "root")
            for path in (f"/jobs/{job.id}", f"/jobs/compare?job={job.id}"):
                answer = get(path, headers={**headers, **HTML})
                assert answer.status_code == (200 if is_seen else 404)
                assert ("secret" in answer.text) == is_seen
        problem(get(f"/jobs/losses.svg?job={job.id}", headers=driven.keys["bob"]), 404, "not-found")
        problem(get("/jobs?owner=ada", headers=driven.keys["bob"]), 403, "forbidden")
        assert job.id in get("/jobs?owner=ada", headers=driven.keys["root"]).text

    def test_a_form_is_that_of_its_key(self, driven: DrivenJobs) -> None:
        job = driven.queued("ada")
        path = f"/jobs/{job.id}"
        tokens = {}
        for owner in ("ada", "root"):
            text = driven.client.get(path, headers=driven.keys[owner]).text
            tokens[owner] = {"token": re.findall(r'name="token" value="(\w+)"', text)[0]}
        post = driven.client.post
        unknown = {"authorization": ""}
        answer = post(f"{path}/cancel", data=tokens["ada"], headers=unknown)
        problem(answer, 401, "unauthorized")
        answer = post(f"{path}/cancel", data=tokens["ada"], headers=driven.keys["root"])
        problem(answer, 403, "origin-not-allowed")
        problem(
            post(f"{path}/cancel", data=tokens["ada"], headers=driven.keys["bob"]), 404, "not-found"
        )
        assert driven.queue.get(job.id).state == "queued"
        answer = post(f"{path}/cancel", data=tokens["root"], headers=driven.keys["root"])
        assert answer.status_code == 303

    @pytest.mark.parametrize("path", ["/jobs", "/jobs/", "/jobs/0", "/jobs/compare"])
    def test_the_pages_need_the_scope_of_jobs(self, driven: DrivenJobs, path: str) -> None:
        answer = driven.client.get(path, headers={"authorization": ""})
        problem(answer, 401, "unauthorized")
        answer = driven.client.get(path, headers=driven.keys["reader"], follow_redirects=True)
        problem(answer, 403, "forbidden")


@pytest.mark.slow
def test_a_form_works_without_keys_and_after_a_restart(tmp_path: Path) -> None:
    process = ServiceProcess(tmp_path / "data", jobs="0", workers="1")
    with (
        service_process(process.data, process),
        driven_jobs(process.address, process.data) as driven,
    ):
        job = driven.queued()
        text = page(driven, f"/jobs/{job.id}")
        assert f'action="../jobs/{job.id}/cancel"' in text
        form = {"token": re.findall(r'name="token" value="(\w+)"', text)[0]}
        process.end()
        with httpx.Client(base_url=process.start(), timeout=120) as client:
            answer = client.post(f"/jobs/{job.id}/cancel", data=form)
            assert answer.headers["location"] == f"../../jobs/{job.id}"
        assert driven.queue.get(job.id).state == "cancelled"
