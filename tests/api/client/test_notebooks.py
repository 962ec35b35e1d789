"""In a notebook a job is watched with a bar and a picture, and Ctrl-C floods nobody."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import Any

import nbformat
import pytest
from helpers.example_jobs import soon
from helpers.scripted_service import (
    Reply,
    Request,
    Scripted,
    job_document,
    json_reply,
    scripted_service,
)
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

JOB = job_document(
    id="a1",
    name="inertia",
    state="running",
    reason="begun",
    progress={"epoch": 2, "epochs": 2},
    result={"model": "inertia", "version": 1, "equivariance_error": 1e-7},
)
FURTHER = {"validation_loss": None, "learning_rate": 0.001, "seconds": 1.0}
EVENTS = [
    ("state", {"state": "running", "reason": "begun", "attempt": 1}),
    ("metrics", {"rows": [{"epoch": 1, "train_loss": 0.5, "test_loss": 0.6, **FURTHER}]}),
    ("progress", {"epoch": 1, "epochs": 2}),
    ("metrics", {"rows": [{"epoch": 2, "train_loss": 0.1, "test_loss": 0.2, **FURTHER}]}),
    ("progress", {"epoch": 2, "epochs": 2}),
    ("state", {"state": "succeeded", "reason": "done", "attempt": 1}),
]


def answer(request: Request) -> Reply:
    if not request.path.endswith("/events"):
        ended = any(seen.path.endswith("/events") for seen in service.asked)
        return json_reply({**JOB, "state": "succeeded"} if ended else JOB)
    frames = [
        f"id: {n}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"
        for n, (kind, data) in enumerate(EVENTS, 1)
    ]
    body = "".join([*frames, "event: end\ndata: {}\n\n"]).encode()
    return Reply(200, body, {"content-type": "text/event-stream"})


def never_ending(request: Request) -> Reply:
    return json_reply({**JOB, "state": "queued", "queue": {"position": 1, "why": "all is full"}})


service: Scripted


def notebook(url: str, *cells: str) -> NotebookClient:
    first = (
        f"import os; print(os.getpid())\n"
        f"from intertwine_api import remote\n"
        f"job = remote({url!r}).job('a1')"
    )
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in (first, *cells)]
    )
    return NotebookClient(made, timeout=300, kernel_name="python3")


@pytest.mark.slow
def test_a_bar_and_a_picture_and_the_job_at_the_end() -> None:
    global service
    with scripted_service(answer) as service:
        run = notebook(service.url, "job.watch()")
        run.execute()
    _, cell = run.nb.cells
    by_type: dict[str, list[Any]] = {}
    for output in cell.outputs:
        by_type.setdefault(output.output_type, []).append(output)
    (picture,) = by_type["display_data"]  # drawn several times, in one place
    assert picture.data["image/png"].startswith("iVBOR")
    (result,) = by_type["execute_result"]
    assert "<td>inertia, version 1</td>" in result.data["text/html"]
    assert "<td>1.0e-07</td>" in result.data["text/html"]
    written = "".join(output.text for output in by_type["stream"])
    assert "inertia (a1): succeeded 100%|" in written
    assert "train loss 0.1, test loss 0.2" in written
    assert "Warning" not in written


@pytest.mark.slow
def test_ctrl_c_shows_two_lines_and_no_traceback() -> None:
    with scripted_service(never_ending) as there:
        run = notebook(there.url, "job.watch()", "print('never')")
        with run.setup_kernel():
            run.execute_cell(run.nb.cells[0], 0)
            kernel = int(run.nb.cells[0].outputs[0].text)
            asked = len(there.asked)

            def interrupt() -> None:  # as Jupyter does
                soon(lambda: len(there.asked) > asked)
                time.sleep(1)
                os.kill(kernel, signal.SIGINT)

            stop = threading.Thread(target=interrupt)
            stop.start()
            with pytest.raises(CellExecutionError):
                run.execute_cell(run.nb.cells[1], 1)
            stop.join()
    *shown, error = run.nb.cells[1].outputs
    assert error.ename == "KeyboardInterrupt"
    assert error.traceback == [
        'detached: job a1 continues. Resume with lab.job("a1").watch(), or: '
        f"intertwine jobs watch a1 --remote {there.url}"
    ]
    assert "number 1 in the queue, all is full" in "".join(o.get("text", "") for o in shown)
