"""Data to train on: at a service already, or sent to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from intertwine.errors import FormatError, InvalidSetting

from intertwine_api.client.lists import Document, list_all
from intertwine_api.client.retries import Retries, answered
from intertwine_api.client.safetensors_body import MEDIA_TYPE, body_of
from intertwine_api.client.sent_reps import SentRep
from intertwine_api.client.steps import Ask, Operation

_DIGEST = 64  # hexadecimal digits
_LONGEST_GROUP = 16_000  # characters of an address, which servers bound


@dataclass(frozen=True)
class StoredDataset:
    """A dataset that a service has, trained on by its `digest`, the sha256 of its file."""

    digest: str
    name: str
    samples: int
    document: Document = field(repr=False)

    @classmethod
    def of(cls, document: Document) -> StoredDataset:
        """The dataset of a document."""
        return cls(document["id"], document["name"], document["samples"], document)


@dataclass(frozen=True)
class GivenData:
    """Data as they were given: X and Y with their reps; or what a service has, as X alone.

    `X` may be an object with X and Y, and with the reps and the group if they are known, such as
    those of `intertwine.datasets`; the digest, or the document, of a dataset that the service has;
    or the name of one that it can make.
    """

    X: Any
    Y: Any = None
    rep_in: Any = None
    rep_out: Any = None
    group: Any = None
    name: str = ""

    def completed_by(self, model: Any) -> GivenData:
        """With the reps of the data, or else of the model, where none were given."""
        data = self
        if hasattr(self.X, "X") and hasattr(self.X, "Y"):
            data = replace(self, X=self.X.X, Y=self.X.Y)._with_reps_of(self.X)
        elif isinstance(self.X, tuple) and len(self.X) == 2 and self.Y is None:
            data = replace(self, X=self.X[0], Y=self.X[1])
        return data._with_reps_of(model)

    @property
    def reps(self) -> Document:
        """`rep_in`, `rep_out` and their `group`, as they are written, as far as they are known."""
        said: Document = {}
        for name in ("rep_in", "rep_out"):
            rep = getattr(self, name)
            if rep is not None:
                sent = SentRep.of(rep, self.group)
                said[name] = sent.text
                if sent.group is not None:
                    said["group"] = sent.group
        return said

    def _with_reps_of(self, other: Any) -> GivenData:
        def read(name: str) -> Any:
            return other.get(name) if isinstance(other, Mapping) else getattr(other, name, None)

        return replace(
            self,
            rep_in=self.rep_in or read("rep_in"),
            rep_out=self.rep_out or read("rep_out"),
            group=self.group or read("group") or read("symmetry"),
        )


def send_data(data: GivenData, retries: Retries) -> Operation[str | Document]:
    """What a training says of its data, which are sent first where they are arrays."""
    X = data.X
    if data.Y is not None:
        return (yield from upload_dataset(data, retries)).digest
    if isinstance(X, StoredDataset):
        return X.digest
    if isinstance(X, Mapping):
        return dict(X)
    if isinstance(X, str):
        return X if len(X) == _DIGEST else {"name": X}
    raise InvalidSetting(
        "data are arrays X and Y, a dataset of intertwine.datasets, or the name or digest of one "
        f"that the service has; not {type(X).__name__} alone"
    )


def upload_dataset(data: GivenData, retries: Retries) -> Operation[StoredDataset]:
    """Send X and Y, and what is known of their reps. The same data are kept once."""
    import numpy as np

    arrays = {"X": np.asarray(data.X), "Y": np.asarray(data.Y)}
    for name, array in arrays.items():
        if np.iscomplexobj(array):
            raise FormatError(f"{name} is complex, and samples are real numbers")
    ask = Ask(
        "POST",
        "/v1/datasets",
        query=_described(data),
        headers={"content-type": MEDIA_TYPE},
        body=body_of(arrays),
        repeatable=True,
    )
    return StoredDataset.of((yield from answered(ask, retries)).document)


def list_datasets(retries: Retries) -> Operation[list[StoredDataset]]:
    """The caller's datasets, the newest first."""
    found = yield from list_all("/v1/datasets", {}, None, retries)
    return [StoredDataset.of(document) for document in found]


def delete_dataset(digest: str, retries: Retries) -> Operation[None]:
    """Delete a dataset."""
    yield from answered(Ask("DELETE", f"/v1/datasets/{quote(digest, safe='')}"), retries)


def _described(data: GivenData) -> dict[str, str]:
    """The name, the reps and the group, as far as they are known, in the words of a query.

    A group of so many generators that no address can hold them is left to the model to say.
    """
    said: dict[str, str] = {"name": data.name} if data.name else {}
    reps = data.reps
    group = reps.get("group")
    if not isinstance(group, str | None):
        reps["group"] = json.dumps(group, separators=(",", ":"))
    if len(str(reps.get("group"))) > _LONGEST_GROUP:
        return said
    return {**said, **reps}
