"""OpenTelemetry traces of a real service and of its jobs, received by a real collector."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.collector import Collector, collector
from helpers.example_jobs import soon
from helpers.patience import quickest, seconds_of
from helpers.program import called, intertwine, python
from helpers.service import SO3, UNKNOWN, ServiceProcess, service_process, stopped_workers
from intertwine.errors import InvalidSetting
from intertwine_api.work import traces

pytestmark = pytest.mark.slow  # real services and collectors

PARENT = "b7ad6b7169203331"
ALWAYS = {"log_format": "json", "access_log": "true", "workers": "1"}
#: A basis that nobody has solved for; each test that solves has its own.
BASES = [{"rep": f"V**2+{n}V0", "group": "SO(3)"} for n in range(20)]

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def traceparent(trace: str, flags: str = "01") -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{PARENT}-{flags}"}


@pytest.fixture(autouse=True)
def _without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


class Traced:
    """A service that is traced, a client with a key of alice's, and the collector."""

    def __init__(self, service: ServiceProcess, collector: Collector, token: str) -> None:
        self.service, self.collector, self.token = service, collector, token
        headers = {"authorization": f"Bearer {token}"}
        self.client = httpx.Client(base_url=service.address, headers=headers, timeout=60)

    def ask(self, method: str, path: str, **more: Any) -> tuple[httpx.Response, str]:
        """The response, and the id of its request."""
        answer = self.client.request(method, path, **more)
        return answer, answer.headers["x-request-id"]

    def job(self, document: dict[str, Any], **headers: str) -> tuple[str, str, str]:
        """Submit a job and wait for its end: its id, the id of the request, and its state."""
        answer, request = self.ask("POST", "/v1/jobs", json=document, headers=headers)
        assert answer.status_code == 202, answer.text
        path = f"/v1/jobs/{answer.json()['id']}"
        ends = ("succeeded", "failed", "cancelled")
        state = soon(lambda: (s := self.client.get(path).json()["state"]) in ends and s, 120)
        return answer.json()["id"], request, state


def lines(service: ServiceProcess) -> list[dict[str, Any]]:
    """The lines of the log of a service."""
    text = (service.data.parent / f"{service.data.name}.log").read_text()
    return [json.loads(line) for line in text.splitlines()]


@contextmanager
def variables(**values: str) -> Iterator[None]:
    """Variables of the environment of the processes that the block starts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    data = tmp_path_factory.mktemp("traced") / "data"
    token = called("keys", "create", "alice", "--data", data).out.strip()
    with collector() as received:
        named = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.address, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        with variables(**named):
            service = ServiceProcess(data, **ALWAYS, jobs="1")
        with service_process(data, service):
            lab = Traced(service, received, token)
            yield lab
            lab.client.close()


class TestRequests:
    def test_a_request_is_a_span_with_its_route_and_ids(self, lab: Traced) -> None:
        _, request = lab.ask("GET", f"/v1/bases/{UNKNOWN}")
        span = lab.collector.one(request_id=request)
        assert (span.name, span.kind) == ("GET /v1/bases/{key}", "server")
        assert (span.parent_id, span.error) == ("", None)
        assert span.ended > span.started > time.time() - 60
        assert span.attributes == {
            "http.request.method": "GET",
            "http.route": "/v1/bases/{key}",
            "http.response.status_code": 404,
            "url.scheme": "http",
            "url.path": f"/v1/bases/{UNKNOWN}",
            "intertwine.request_id": request,
            "intertwine.key_id": lab.token.split("_")[1],
        }
        assert span.resource["service.name"] == "intertwine"
        assert span.resource["service.version"]

    def test_a_request_that_is_refused_is_one_too(self, lab: Traced) -> None:
        answer = httpx.get(f"{lab.service.address}/v1/groups", timeout=60)
        span = lab.collector.one(request_id=answer.headers["x-request-id"])
        assert span.attributes["http.response.status_code"] == 401
        assert "intertwine.key_id" not in span.attributes
        _, request = lab.ask("GET", "/nothing/here")
        assert lab.collector.one(request_id=request).name == "GET"

    def test_the_trace_of_the_caller_goes_on(self, lab: Traced) -> None:
        trace = "0af7651916cd43dd8448eb211c80319c"
        _, request = lab.ask("GET", "/v1/groups", headers=traceparent(trace))
        span = lab.collector.one(request_id=request)
        assert (span.trace_id, span.parent_id) == (trace, PARENT)

    @pytest.mark.parametrize("sent", ["", "00-zz-b7ad6b7169203331-01", "00-0-0-01", "x" * 5000])
    def test_a_malformed_header_begins_a_new_one(self, lab: Traced, sent: str) -> None:
        answer, request = lab.ask("GET", "/v1/groups", headers={"traceparent": sent})
        assert answer.status_code == 200
        assert lab.collector.one(request_id=request).parent_id == ""

    def test_a_caller_may_choose_not_to_be_traced(self, lab: Traced) -> None:
        _, silent = lab.ask("GET", "/v1/groups", headers=traceparent("1" * 32, flags="00"))
        _, later = lab.ask("GET", "/v1/groups")
        lab.collector.one(request_id=later)
        assert not [s for s in lab.collector.spans if s.trace_id == "1" * 32]
        assert silent != later

    def test_log_lines_have_the_trace(self, lab: Traced) -> None:
        _, request = lab.ask("GET", "/v1/groups", headers=traceparent("2" * 32))
        (line,) = soon(lambda: [x for x in lines(lab.service) if x.get("request_id") == request])
        assert (line["logger"], line["trace_id"]) == ("intertwine.access", "2" * 32)

    def test_concurrent_requests_have_traces_of_their_own(self, lab: Traced) -> None:
        ids = [lab.ask("GET", "/healthz")[1] for _ in range(20)]
        found = [lab.collector.one(request_id=request).trace_id for request in ids]
        assert len(set(found)) == 20

    def test_no_secret_query_or_body_is_sent(self, lab: Traced) -> None:
        secret = lab.token.split("_", 2)[2]
        lab.ask("GET", "/v1/groups?token=query-secret")
        body = {"rep": "V+unknown_body_text", "group": "SO(3)"}
        answer, request = lab.ask("POST", "/v1/bases", json=body)
        assert "unknown_body_text" in answer.text
        lab.collector.one(request_id=request)
        sent = b"".join(lab.collector.bodies)
        assert request.encode() in sent
        for hidden in (secret, lab.token, "query-secret", "unknown_body_text"):
            assert hidden.encode() not in sent


class TestSolves:
    def test_waiting_and_solving_are_children_of_the_request(self, lab: Traced) -> None:
        answer, request = lab.ask("POST", "/v1/bases", json=BASES[0])
        assert answer.status_code == 200, answer.text
        parent = lab.collector.one(request_id=request)
        spans = lab.collector.wait(2, parent_id=parent.span_id)
        wait, solve = sorted(spans, key=lambda span: span.started)
        assert (wait.name, solve.name) == ("solver.wait", "solver.solve")
        assert {span.trace_id for span in spans} == {parent.trace_id}
        assert wait.ended <= solve.started <= solve.ended <= parent.ended
        assert solve.attributes["intertwine.key"] == answer.json()["key"]
        assert solve.attributes["intertwine.operations"] > 0

    def test_a_stored_basis_has_none(self, lab: Traced) -> None:
        lab.ask("POST", "/v1/bases", json=BASES[1])
        _, again = lab.ask("POST", "/v1/bases", json=BASES[1])
        parent = lab.collector.one(request_id=again)
        assert not [s for s in lab.collector.spans if s.parent_id == parent.span_id]

    def test_a_solve_waits_in_its_span_until_another_has_ended(self, lab: Traced) -> None:
        """Of three, as the service has a worker and another for short turns."""
        asked = [{"rep": f"V**7+{n}V0", "group": "SO(3)", "method": "krylov"} for n in (1, 2, 3)]
        now = {"prefer": "wait=0"}
        with stopped_workers(lab.service.data):  # none has ended before the last is asked for
            ids = [lab.ask("POST", "/v1/bases", json=one, headers=now)[1] for one in asked]
        *others, last = [lab.collector.one(request_id=request).span_id for request in ids]
        (wait,) = lab.collector.wait(name="solver.wait", parent_id=last)
        ends = [
            lab.collector.wait(name="solver.solve", parent_id=other)[0].ended for other in others
        ]
        assert wait.started < min(ends) <= wait.ended
        assert lab.collector.wait(name="solver.solve", parent_id=last)[0].started >= wait.ended


class TestJobs:
    def test_an_attempt_is_in_the_trace_of_the_request(self, lab: Traced) -> None:
        job, request, state = lab.job({"kind": "solve", **BASES[2]}, **traceparent("3" * 32))
        assert state == "succeeded"
        parent = lab.collector.one(request_id=request)
        attempt = lab.collector.one(name="job.attempt", job=job)
        assert (attempt.trace_id, attempt.parent_id) == ("3" * 32, parent.span_id)
        assert (attempt.kind, attempt.error) == ("consumer", None)
        assert attempt.attributes == {
            "intertwine.job": job,
            "intertwine.kind": "solve",
            "intertwine.attempt": 1,
        }
        assert attempt.resource["service.name"] == "intertwine"
        wait, solve = sorted(
            lab.collector.wait(2, parent_id=attempt.span_id), key=lambda span: span.started
        )
        assert (wait.name, solve.name) == ("job.wait", "job.solve")
        assert attempt.started == wait.started < wait.ended <= solve.started
        assert solve.ended <= attempt.ended

    def test_each_attempt_is_one_and_a_failure_has_its_code(self, lab: Traced) -> None:
        group = {"discrete_generators": [[[1, 1e-9], [0, 1]]], "refine": 0}
        job, request, state = lab.job({"kind": "solve", "rep": "V", "group": group})
        assert state == "failed"
        lab.collector.one(name="job.attempt", job=job)  # its process has ended it
        lab.client.post(f"/v1/jobs/{job}:retry")
        attempts = lab.collector.wait(2, name="job.attempt", job=job)
        parent = lab.collector.one(request_id=request)
        assert [span.attributes["intertwine.attempt"] for span in attempts] == [1, 2]
        assert {span.parent_id for span in attempts} == {parent.span_id}
        assert {span.error for span in attempts} == {"ambiguous-rank"}
        assert attempts[1].started > attempts[0].ended

        # as on a host that does not have the folder
        (lab.service.data / "jobs" / job / "trace.json").unlink()
        soon(lambda: lab.client.get(f"/v1/jobs/{job}").json()["state"] == "failed")
        lab.client.post(f"/v1/jobs/{job}:retry")
        assert lab.collector.wait(3, name="job.attempt", job=job)[2].parent_id == ""

    def test_a_training_reads_its_samples_and_trains(self, lab: Traced) -> None:
        training = {"epochs": 2, "batch_size": 16, "seed": 3}
        model = {"type": "EMLP", "ch": 8, "num_layers": 1}
        dataset = {"name": "Inertia", "size": 30, "seed": 0}
        job, _, state = lab.job(
            {"kind": "train", "dataset": dataset, "model": model, "training": training}
        )
        assert state == "succeeded"
        attempt = lab.collector.one(name="job.attempt", job=job)
        children = lab.collector.wait(3, parent_id=attempt.span_id)
        names = [span.name for span in sorted(children, key=lambda span: span.started)]
        assert names == ["job.wait", "job.load", "job.train"]


class TestWithoutACollector:
    @pytest.mark.parametrize("hangs", [False, True])
    def test_it_costs_no_time_and_one_line(self, tmp_path: Path, hangs: bool) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            if hangs:
                listener.listen()  # and never answers
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            small = {"OTEL_BSP_MAX_QUEUE_SIZE": "64", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "16"}
            delay = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_EXPORTER_OTLP_TIMEOUT": "3"}
            with variables(OTEL_EXPORTER_OTLP_ENDPOINT=address, **small, **delay):
                service = ServiceProcess(tmp_path / "data", **ALWAYS, jobs="1")
            with service_process(service.data, service):
                with httpx.Client(base_url=service.address, timeout=30) as client:

                    def ask() -> None:
                        assert client.get("/healthz").status_code == 200

                    def median() -> float:  # of more than the queue has room for
                        return sorted(seconds_of(ask) for _ in range(400))[200]

                    assert quickest(median, 0.05) < 0.05
                    job = client.post("/v1/jobs", json={"kind": "solve", **SO3}).json()
                    path = f"/v1/jobs/{job['id']}"
                    soon(lambda: client.get(path).json()["state"] == "succeeded", 60)
                    soon(lambda: self.reports(service))

                def seconds_of_the_end() -> float:
                    if not service.is_running:
                        service.start()
                        starts.append(service.address)
                        soon(lambda: len(self.reports(service)) == len(starts))
                    return seconds_of(service.end)

                starts = [service.address]
                assert quickest(seconds_of_the_end, 8) < 8
            reports = self.reports(service)
            assert len(reports) == len(starts)
            for report in reports:
                assert report["level"] == "warning"
                assert report["message"].startswith("spans cannot be exported: ")
            assert {line["logger"] for line in lines(service)} <= {
                *("intertwine.traces", "intertwine.access", "intertwine.audit"),
                *("intertwine.service", "intertwine.jobs"),
            }

    @staticmethod
    def reports(service: ServiceProcess) -> list[dict[str, Any]]:
        return [line for line in lines(service) if line["logger"] == "intertwine.traces"]


class TestVariables:
    @pytest.mark.parametrize(
        ("values", "is_on"),
        [
            ({}, False),
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
            ({"OTEL_SERVICE_NAME": "lab"}, False),
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
            ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector/v1/traces"}, True),
            ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
            ({"OTEL_TRACES_EXPORTER": "none"}, False),
            (
                {
                    "OTEL_TRACES_EXPORTER": "none",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
                },
                False,
            ),
            ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, False),
            ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "false"}, True),
            (
                {
                    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
                    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                },
                True,
            ),
        ],
    )
    def test_they_turn_traces_on_and_off(self, values: dict[str, str], is_on: bool) -> None:
        with variables(**values):
            assert traces.require_exporter() is is_on

    @pytest.mark.parametrize(
        ("name", "value", "advice"),
        [
            ("OTEL_TRACES_EXPORTER", "zipkin", "set it to 'otlp'"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "set it to 'http/protobuf'"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "set it to 'http/protobuf'"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317", "http:// or https://"),
        ],
    )
    def test_what_is_not_supported_is_refused(self, name: str, value: str, advice: str) -> None:
        with (
            variables(**{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", name: value}),
            pytest.raises(InvalidSetting, match=re.escape(advice)) as error,
        ):
            traces.start()
        assert f"{name} is {value!r}" in str(error.value)

    def test_a_value_that_the_exporter_refuses_is_reported(self) -> None:
        named = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
        ended = intertwine(
            *("serve", "--port", "0"), env={**named, "OTEL_BSP_MAX_QUEUE_SIZE": "-1"}
        )
        assert ended.code == 2
        assert "traces cannot be exported: max_queue_size" in ended.err

    @pytest.mark.parametrize(
        ("values", "name"),
        [
            ({}, "intertwine"),
            ({"OTEL_SERVICE_NAME": "lab"}, "lab"),
            ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=lab,room=12"}, "lab"),
        ],
    )
    def test_the_name_of_the_service(self, values: dict[str, str], name: str) -> None:
        program = """
from intertwine_api.work import traces
traces.start()
with traces.span("work"):
    pass
traces.stop()
"""
        with collector() as received:
            with variables(OTEL_EXPORTER_OTLP_ENDPOINT=received.address, **values):
                python(program)
            assert received.one(name="work").resource["service.name"] == name


class TestOff:
    def test_nothing_is_imported_or_sent(self) -> None:
        """The server imports FastAPI, which imports the interfaces of OpenTelemetry itself."""
        program = """
import sys
import intertwine_api.work.process, intertwine_api.work.supervisor
from intertwine_api.work import traces
traces.start()
with traces.span("work", kind="server", parent={}):
    traces.mark({"a": 1}, name="other", error="bad")
    traces.record("wait", 0.0, 1.0)
    print(traces.headers(), traces.trace_id())
traces.stop()
print([name for name in sys.modules if name.startswith("opentelemetry")])
import intertwine_api.server.app
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exp"))])
"""
        assert python(program).splitlines() == ["{} None", "[]", "[]"]

    def test_an_error_passes_through_a_span(self) -> None:
        with pytest.raises(ZeroDivisionError), traces.span("work"):
            raise ZeroDivisionError

    def test_a_service_with_a_disabled_sdk_sends_nothing(self, tmp_path: Path) -> None:
        with collector() as received:
            named = {"OTEL_EXPORTER_OTLP_ENDPOINT": received.address}
            with variables(**named, OTEL_SDK_DISABLED="true", OTEL_BSP_SCHEDULE_DELAY="50"):
                service = ServiceProcess(tmp_path / "data", **ALWAYS, jobs="0")
            with service_process(service.data, service):
                assert httpx.get(f"{service.address}/v1/groups", timeout=60).status_code == 200
                # a request is logged after its response
                (line,) = soon(
                    lambda: [x for x in lines(service) if x.get("route") == "/v1/groups"]
                )
                assert "trace_id" not in line
            assert received.bodies == []


class TestWithoutTheExtra:
    @pytest.fixture
    def blocked(self, tmp_path: Path) -> Iterator[None]:
        """Processes in which the packages of the extra cannot be imported."""
        (tmp_path / "blocked").mkdir()
        (tmp_path / "blocked" / "sitecustomize.py").write_text(BLOCKER)
        path = os.pathsep.join([str(tmp_path / "blocked"), os.environ.get("PYTHONPATH", "")])
        with variables(PYTHONPATH=path.rstrip(os.pathsep)):
            yield

    @pytest.mark.usefixtures("blocked")
    @pytest.mark.parametrize("command", [("serve", "--port", "0"), ("worker",)])
    def test_traces_that_are_asked_for_are_refused(
        self, tmp_path: Path, command: tuple[str, ...]
    ) -> None:
        named = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
        ended = intertwine(*command, "--jobs", "1", "--data", tmp_path / "data", env=named)
        assert ended.code == 2
        assert "OTEL_EXPORTER_OTLP_ENDPOINT asks for traces" in ended.err
        assert "install 'intertwine[otel]', or set OTEL_TRACES_EXPORTER=none" in ended.err
        assert "Traceback" not in ended.err

    @pytest.mark.usefixtures("blocked")
    def test_without_traces_the_service_runs(self, tmp_path: Path) -> None:
        with service_process(tmp_path / "data", **ALWAYS, jobs="0") as service:
            assert httpx.get(f"{service.address}/v1/groups", timeout=60).status_code == 200

    @pytest.mark.usefixtures("blocked")
    def test_an_attempt_runs_without_its_trace(self) -> None:
        program = """
import logging
from intertwine_api.work import process
logging.basicConfig()
process._start_traces()
"""
        with variables(OTEL_TRACES_EXPORTER="otlp"):
            assert python(program) == ""


class TestErrors:
    def test_an_error_has_its_code_and_not_its_message(self) -> None:
        program = """
from contextlib import suppress
from intertwine.errors import InvalidGroup
from intertwine_api.wire.problems import ProblemError
from intertwine_api.work import traces
traces.start()
for name, error in (
    ("problem", ProblemError.of("too-costly", "secret")),
    ("library", InvalidGroup("secret")),
    ("other", ZeroDivisionError("secret")),
):
    with suppress(Exception), traces.span(name):
        raise error
traces.stop()
"""
        with collector() as received:
            with variables(OTEL_EXPORTER_OTLP_ENDPOINT=received.address):
                python(program)
            found = {span.name: span.error for span in received.wait(3)}
            assert b"secret" not in b"".join(received.bodies)
        assert found == {
            "problem": "too-costly",
            "library": "invalid-group",
            "other": "ZeroDivisionError",
        }
