"""What is sent to have a model trained: the data, the model, and what is wanted."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from helpers.scripted_service import (
    HANG_UP,
    Reply,
    Request,
    dataset_document,
    job_document,
    json_reply,
    problem_reply,
    scripted_service,
)
from intertwine.datasets import Inertia
from intertwine.errors import FormatError, InvalidSetting, NotConcrete
from intertwine.groups import SO, Group, O
from intertwine.reps import T, V
from intertwine_api.client import Client, StoredDataset
from intertwine_api.client.errors import ServiceError
from safetensors.numpy import load

X = np.random.default_rng(0).standard_normal((7, 3))
Y = X[:, :, None].repeat(3, axis=2).reshape(7, 9)[:, ::-1]  # not contiguous
SQUARE = Group(discrete_generators=[[1, 2, 3, 0], [3, 2, 1, 0]])
MANY = Group(discrete_generators=[[*range(1, 5000), 0]])


class Sent:
    """What a client sent: by address, the query and the body of each request."""

    def __init__(self) -> None:
        self.requests: dict[str, list[tuple[dict[str, str], bytes]]] = {}

    def answer(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        query = {name: value for name, (value,) in parse_qs(parts.query).items()}
        self.requests.setdefault(parts.path, []).append((query, request.body))
        digest = hashlib.sha256(request.body).hexdigest()
        if parts.path == "/v1/datasets":
            stored = dataset_document(id=digest, name=query.get("name", ""), samples=7)
            return json_reply(stored, 201)
        if parts.path == "/v1/blobs":
            blob = {"digest": digest, "bytes": len(request.body), "links": {}}
            return json_reply(blob, 201)
        return json_reply(job_document(), 202)

    @property
    def job(self) -> dict[str, Any]:
        """The document of the job that was handed in."""
        ((_, body),) = self.requests["/v1/jobs"]
        document: dict[str, Any] = json.loads(body)
        return document

    @property
    def dataset(self) -> tuple[dict[str, str], dict[str, Any]]:
        """The query and the arrays of the dataset that was uploaded."""
        ((query, body),) = self.requests["/v1/datasets"]
        return query, load(body)


def train(*arguments: Any, **more: Any) -> Sent:
    sent = Sent()
    with scripted_service(sent.answer) as there, Client(there.url) as lab:
        lab.train(*arguments, **more)
    return sent


class TestData:
    def test_arrays_arrive_with_the_reps_of_the_model(self) -> None:
        sent = train({"type": "EMLP", "group": SO(3), "rep_in": V, "rep_out": T(2)}, X, Y)
        query, arrays = sent.dataset
        assert query == {"rep_in": "V", "rep_out": "V²", "group": "SO(3)"}
        assert np.array_equal(arrays["X"], X)
        assert np.array_equal(arrays["Y"], Y)
        digest = hashlib.sha256(sent.requests["/v1/datasets"][0][1]).hexdigest()
        assert sent.job["dataset"] == digest

    def test_a_dataset_of_the_library_brings_its_own(self) -> None:
        sent = train("EMLP", Inertia(7))
        query, arrays = sent.dataset
        assert query == {"rep_in": "5V⁰+5V", "rep_out": "V²", "group": "SO(3)"}
        assert arrays["X"].dtype == np.float32
        assert np.array_equal(arrays["Y"], Inertia(7).Y)
        assert sent.job["model"] == {**query, "type": "EMLP"}

    def test_what_is_said_goes_before_what_the_dataset_says(self) -> None:
        group = Group(lie_algebra=SO(3).lie_algebra[:1])
        query, _ = train("EMLP", Inertia(7), group=group).dataset
        assert json.loads(query["group"])["lie_algebra"] == group.lie_algebra.tolist()

    def test_a_pair_and_reps_do_as_well(self) -> None:
        sent = train({}, (X, Y), rep_in="V", rep_out="V**2", group="SO(3)")
        assert sent.dataset[0] == {"rep_in": "V", "rep_out": "V²", "group": "SO(3)"}

    def test_without_reps_none_are_said(self) -> None:
        sent = train("MLP", X, Y)
        assert sent.dataset[0] == {}
        assert sent.job["model"] == {"type": "MLP"}

    def test_a_large_group_goes_with_the_model_alone(self) -> None:
        sent = train("EMLP", X, Y, rep_in=V, rep_out=V, group=MANY)
        assert sent.dataset[0] == {}
        assert len(sent.job["model"]["group"]["discrete_generators"][0]) == 5000

    def test_labels_stay_whole_numbers(self) -> None:
        labels = np.arange(7, dtype=np.int16)
        _, arrays = train("MLP", X, labels).dataset
        assert arrays["Y"].dtype == np.int16
        assert np.array_equal(arrays["Y"], labels)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ("Inertia", {"name": "Inertia"}),
            ({"name": "Inertia", "size": 50}, {"name": "Inertia", "size": 50}),
            ("0" * 64, "0" * 64),
            (StoredDataset("1" * 64, "mine", 7, {}), "1" * 64),
        ],
        ids=["a name", "a document", "a digest", "what was uploaded"],
    )
    def test_what_the_service_has_is_not_sent(self, given: Any, said: Any) -> None:
        sent = train("EMLP", given)
        assert "/v1/datasets" not in sent.requests
        assert sent.job == {
            "kind": "train",
            "dataset": said,
            "model": {"type": "EMLP"},
            "training": {},
        }

    def test_data_may_be_sent_beforehand(self) -> None:
        sent = Sent()
        with scripted_service(sent.answer) as there, Client(there.url) as lab:
            stored = lab.upload(X, Y, name="mine", rep_in=V(SQUARE) + 2, rep_out=V(SQUARE))
        query, _ = sent.dataset
        assert (stored.name, stored.samples, len(stored.digest)) == ("mine", 7, 64)
        assert query["rep_in"] == "V+2V⁰"
        assert json.loads(query["group"])["discrete_generators"] == [[1, 2, 3, 0], [3, 2, 1, 0]]

    @pytest.mark.parametrize(
        ("arguments", "error", "said"),
        [
            ((X,), InvalidSetting, "the data are ndarray alone: give arrays X and Y"),
            ((X + 1j, Y), FormatError, "X is complex: samples are real numbers"),
            (
                (X, np.array(["a"] * 7)),
                FormatError,
                "Y has the dtype <U1: give numbers",
            ),
        ],
        ids=["no targets", "complex", "texts"],
    )
    def test_what_are_no_data_is_told_here(self, arguments: Any, error: Any, said: str) -> None:
        with Client("http://127.0.0.1:1", retries=0) as nobody, pytest.raises(error, match=said):
            nobody.train("MLP", *arguments)

    def test_reps_without_a_group_are_told_here(self) -> None:
        with Client("http://127.0.0.1:1", retries=0) as nobody, pytest.raises(NotConcrete):
            nobody.train("EMLP", X, Y, rep_in=V, rep_out=V)


class TestReps:
    """Those that were given go first, then those of the model's description, then the data's."""

    STORED = StoredDataset("1" * 64, "mine", 7, {})

    @pytest.mark.parametrize("data", ["Inertia", {"name": "Inertia"}, "0" * 64, STORED], ids=str)
    @pytest.mark.parametrize("model", ["EMLP", {"type": "EMLP"}, {"type": "EMLP", "group": SO(3)}])
    def test_a_group_by_itself_is_said_of_data_that_the_service_has(
        self, model: Any, data: Any
    ) -> None:
        for group in ("O(3)", O(3)):
            assert train(model, data, group=group).job["model"] == {"type": "EMLP", "group": "O(3)"}

    def test_so_are_reps_without_a_group_which_the_service_knows(self) -> None:
        sent = train("EMLP", "Inertia", rep_out="V**2", rep_in=5 * V**0 + 5 * V)
        assert sent.job["model"] == {"type": "EMLP", "rep_in": "5V⁰+5V", "rep_out": "V²"}

    def test_a_rep_brings_its_group(self) -> None:
        sent = train({"group": "SO(3)"}, Inertia(7), rep_out=T(2)(O(3))).job["model"]
        assert sent == {"rep_in": "5V⁰+5V", "rep_out": "V²", "group": "O(3)"}
        sent = train({"rep_out": T(2)(O(3))}, "Inertia").job["model"]
        assert sent == {"rep_out": "V²", "group": "O(3)"}

    def test_a_description_goes_before_the_data(self) -> None:
        sent = train({"group": "O(3)"}, Inertia(7))
        assert sent.dataset[0]["group"] == "SO(3)"
        assert sent.job["model"] == {**sent.dataset[0], "group": "O(3)"}

    def test_what_is_given_goes_before_a_description(self) -> None:
        sent = train({"rep_in": "V", "rep_out": "V"}, "Inertia", rep_in="V+1").job["model"]
        assert sent == {"rep_in": "V+V⁰", "rep_out": "V"}

    def test_a_group_alone_goes_with_data_that_are_sent(self) -> None:
        sent = Sent()
        with scripted_service(sent.answer) as there, Client(there.url) as lab:
            lab.upload(X, Y, group=SO(3))
        assert sent.dataset[0] == {"group": "SO(3)"}

    @pytest.mark.parametrize("reps", [{"group": MANY}, {"rep_in": V(MANY)}], ids=["group", "rep"])
    def test_a_group_that_cannot_go_with_data_alone_is_refused(self, reps: Any) -> None:
        with (
            Client("http://127.0.0.1:1", retries=0) as nobody,
            pytest.raises(InvalidSetting, match="omit the group here, and give it to train"),
        ):
            nobody.upload(X, Y, **reps)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"group": "O(3)"}, r"the group is O\(3\), but rep_in of the network is V\(SO\(3\)\)"),
            ({"rep_in": "2V"}, r"rep_in is 2V, but the network has V\(SO\(3\)\): omit rep_in"),
            ({"rep_out": V(O(3))}, r"the group is O\(3\), but rep_in of the network"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("data", ["Inertia", Inertia(7)], ids=["there", "here"])
    def test_a_network_has_its_own(self, given: Any, said: str, data: Any) -> None:
        from intertwine.nn import MLP

        network = MLP(V, T(2), SO(3), ch=4, num_layers=1)
        with (
            Client("http://127.0.0.1:1", retries=0) as nobody,
            pytest.raises(InvalidSetting, match=said),
        ):
            nobody.train(network, data, **given)

    def test_the_same_again_are_no_others(self) -> None:
        from intertwine.nn import MLP

        network = MLP(V, T(2), SO(3), ch=4, num_layers=1)
        sent = train(network, X, Y, rep_in="V", rep_out=V**2, group="SO(3)")
        assert set(sent.job["model"]) == {"config", "weights"}

    @pytest.mark.parametrize(
        ("given", "said"), [({"group": 3}, "a group is one of"), ({"rep_in": 3}, "a rep is one of")]
    )
    def test_what_is_neither_is_told_here(self, given: Any, said: str) -> None:
        with (
            Client("http://127.0.0.1:1", retries=0) as nobody,
            pytest.raises(InvalidSetting, match=said),
        ):
            nobody.train("EMLP", "Inertia", **given)


class TestModels:
    def test_a_description_is_sent_as_json(self) -> None:
        description = {"type": "EMLP", "group": SQUARE, "ch": [8, V + 1], "rep_in": V}
        sent = train(description, "Inertia").job["model"]
        assert sent["ch"] == [8, "V+V⁰"]
        assert sent["group"]["d"] == 4
        assert sent["rep_in"] == "V"

    def test_a_network_is_sent_with_its_weights(self) -> None:
        from intertwine.nn import MLP
        from intertwine.nn.saving import from_config

        network = MLP(V, T(2), SO(3), ch=4, num_layers=1)
        sent = train(network, X, Y)
        assert sent.dataset[0] == {"rep_in": "V", "rep_out": "V²", "group": "SO(3)"}
        ((_, weights),) = sent.requests["/v1/blobs"]
        model = sent.job["model"]
        assert model["weights"] == hashlib.sha256(weights).hexdigest()
        found = from_config(model["config"], weights)
        assert np.array_equal(found(X), network(X))

    @pytest.mark.parametrize("given", [3, None, Inertia])
    def test_what_is_no_model_is_told_here(self, given: Any) -> None:
        with (
            Client("http://127.0.0.1:1", retries=0) as nobody,
            pytest.raises(InvalidSetting, match=r"give a network of intertwine\.nn"),
        ):
            nobody.train(given, "Inertia")


class TestWishes:
    def test_settings_are_those_that_were_said(self) -> None:
        sent = train("EMLP", "Inertia", epochs=3, schedule="cosine", early_stopping=5)
        assert sent.job["training"] == {
            "epochs": 3,
            "schedule": "cosine",
            "early_stopping": {"patience": 5},
        }

    def test_so_is_what_the_job_is(self) -> None:
        wishes = {"labels": ("a", "b"), "priority": 3, "seconds": 60.0, "memory": 10**9}
        sent = train("EMLP", "Inertia", name="inertia", **wishes).job
        assert (sent["name"], sent["labels"], sent["priority"]) == ("inertia", ["a", "b"], 3)
        assert sent["limits"] == {"seconds": 60.0, "memory": 10**9}

    def test_a_text_is_one_label(self) -> None:
        assert train("EMLP", "Inertia", labels="thesis").job["labels"] == ["thesis"]

    def test_numbers_of_numpy_are_numbers(self) -> None:
        sent = train(
            {"type": "EMLP", "ch": np.int64(8), "key": np.int32(1)},
            "Inertia",
            epochs=np.int64(2),  # type: ignore[arg-type] # as a loop over an array has it
            learning_rate=np.float32(0.5),  # type: ignore[arg-type]
            early_stopping=np.int64(5),
            memory=np.int64(10**9),  # type: ignore[arg-type]
        ).job
        assert sent["model"] == {"type": "EMLP", "ch": 8, "key": 1}
        assert sent["training"] == {
            "epochs": 2,
            "learning_rate": 0.5,
            "early_stopping": {"patience": 5},
        }
        assert sent["limits"] == {"memory": 10**9}

    @pytest.mark.parametrize(
        ("wishes", "said"),
        [
            ({"learning_rate": float("nan")}, "training.learning_rate is nan, which cannot be"),
            ({"seconds": float("inf")}, "limits.seconds is inf"),
            ({"seed": {1}}, r"training.seed is \{1\}"),
            (
                {"idempotency_key": "expérience"},
                "'expérience' is invalid: .*printable ASCII characters",
            ),
            ({"idempotency_key": " mine"}, "no space at either end"),
            ({"idempotency_key": "a" * 256}, "give 1 to 255 printable"),
        ],
        ids=str,
    )
    def test_what_cannot_be_sent_is_told_before_the_data_are(self, wishes: Any, said: str) -> None:
        with (
            scripted_service([HANG_UP]) as there,
            Client(there.url, retries=0) as nobody,
            pytest.raises(InvalidSetting, match=said),
        ):
            nobody.train("MLP", X, Y, **wishes)
        assert there.asked == []

    def test_so_is_the_key_of_a_whole_request(self) -> None:
        with (
            Client("http://127.0.0.1:1", retries=0) as nobody,
            pytest.raises(InvalidSetting, match="ASCII"),
        ):
            nobody.train_request({}, idempotency_key="clé")

    def test_a_key_makes_two_requests_one_job(self) -> None:
        with scripted_service([json_reply(job_document(), 202)]) as there, Client(there.url) as lab:
            for _ in range(2):
                lab.train("EMLP", "Inertia", idempotency_key="mine")
        assert [request.headers["idempotency-key"] for request in there.asked] == ["mine"] * 2

    def test_a_setting_that_the_service_does_not_know_is_its_to_refuse(self) -> None:
        refusal = problem_reply(422, "invalid-request", "training/epoch: extra")
        with (
            scripted_service([refusal]) as there,
            Client(there.url) as lab,
            pytest.raises(ServiceError, match="training/epoch: extra"),
        ):
            lab.train("EMLP", "Inertia", epoch=3)  # type: ignore[call-arg]


def test_what_is_sent_is_not_copied_first() -> None:
    from intertwine_api.wire.safetensors_body import write_arrays

    large = np.zeros((1000, 1000), np.float32)
    _, piece = write_arrays({"X": large})
    assert np.shares_memory(np.frombuffer(piece, np.float32), large)
