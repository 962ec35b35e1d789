"""Training data: datasets stored at the service, and uploads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from intertwine.errors import FormatError, InvalidRep, InvalidSetting

from intertwine_api.client.connection import Session
from intertwine_api.client.messages import Document, HttpRequest, Schema
from intertwine_api.client.retries import fetch, list_all, send
from intertwine_api.wire.safetensors_body import SAFETENSORS, write_arrays
from intertwine_api.wire.wire_format import SentRep, over_group_of

if TYPE_CHECKING:
    from intertwine.groups import Group
    from intertwine.reps import Rep

_REPS = ("rep_in", "rep_out")
_DIGEST = 64  # hexadecimal digits
_LONGEST_GROUP = 16_000  # characters in an address: servers limit its length


@dataclass(frozen=True)
class StoredDataset:
    """A dataset stored at the service. `digest`, the sha256 of its file, identifies it."""

    digest: str
    name: str
    samples: int
    document: Document = field(repr=False)

    @classmethod
    def of(cls, document: Document) -> StoredDataset:
        """Return the dataset of a document."""
        return cls(document["id"], document["name"], document["samples"], document)


@dataclass(frozen=True)
class GivenData:
    """Data as the caller gave them: X and Y with reps, or a dataset of the service as X alone.

    `X` may be an object with X and Y, and optionally reps and a group, such as those of
    `intertwine.datasets`; the digest or document of a dataset stored at the service; or the name
    of one that it generates.
    """

    X: Any
    Y: Any = None
    rep_in: Any = None
    rep_out: Any = None
    group: Any = None
    name: str = ""

    def completed_by(self, model: Any) -> GivenData:
        """Return the data with missing reps and group taken from the data, else the model."""
        data = self._with_group_of_reps()
        if hasattr(self.X, "X") and hasattr(self.X, "Y"):
            data = replace(data, X=self.X.X, Y=self.X.Y).with_reps_of(self.X)
        elif isinstance(self.X, tuple) and len(self.X) == 2 and self.Y is None:
            data = replace(data, X=self.X[0], Y=self.X[1])
        return data.with_reps_of(model)

    def with_reps_of(self, other: Any) -> GivenData:
        """Return the data with missing reps and group taken from another object or mapping."""

        def read(name: str) -> Any:
            return other.get(name) if isinstance(other, Mapping) else getattr(other, name, None)

        if any(_is_given_by_generators(read(name)) for name in _REPS):
            return self  # a network is sent with its own reps
        group = read("symmetry") if read("group") is None else read("group")
        return replace(
            self,
            rep_in=read("rep_in") if self.rep_in is None else self.rep_in,
            rep_out=read("rep_out") if self.rep_out is None else self.rep_out,
            group=group if self.group is None else self.group,
        )

    @property
    def reps(self) -> Document:
        """Return the known ones of `rep_in`, `rep_out` and `group` in the wire format.

        Raises the errors of parsing them, and `NotConcrete` if data to upload have reps and no
        group. The service knows the group of data that it stores.
        """
        from intertwine.groups import group_document, read_group

        reps: Document = {}
        if self.group is not None:
            reps["group"] = group_document(read_group(self.group))
        for name in _REPS:
            rep = getattr(self, name)
            if rep is not None:
                sent = SentRep.of(rep, self.group, may_lack_group=self.Y is None)
                if sent.reps:
                    raise InvalidRep(
                        f"{name} {rep!r} is given by the images of generators, which are not sent "
                        f"with data: omit it, and give a network that has it, as in "
                        f"lab.train(EMLP(rep_in, rep_out), X, Y)"
                    )
                reps[name] = sent.text
                if sent.group is not None:
                    reps["group"] = sent.group
        return reps

    @property
    def given_reps(self) -> Document:
        """Return those of `reps` that are arguments, not taken from the data or the model."""
        return replace(self, X=None, Y=None)._with_group_of_reps().reps

    def require_reps_of(self, network: Any) -> None:
        """Raise `InvalidSetting` if the given reps or group differ from those of the network."""
        from intertwine.groups import read_group
        from intertwine.reps import read_rep

        given = self._with_group_of_reps()
        own = {name: rep for name in _REPS if (rep := getattr(network, name, None)) is not None}
        if given.group is not None:
            _require_group_of(own, read_group(given.group))
        for name, rep in own.items():
            wanted = getattr(given, name)
            if wanted is not None and over_group_of(rep, read_rep(wanted)) != rep:
                raise InvalidSetting(
                    f"{name} is {wanted}, but the network has {rep!r}: omit {name}, or give a "
                    f"network with that rep, or a description of one"
                )

    def _with_group_of_reps(self) -> GivenData:
        """Return the data with the group of the given reps, if no group was given."""
        if self.group is not None:
            return self
        from intertwine.reps import read_rep

        given = (rep for rep in (self.rep_in, self.rep_out) if rep is not None)
        groups = (group for rep in given if (group := read_rep(rep).G) is not None)
        return replace(self, group=next(groups, None))


def _is_given_by_generators(rep: Any) -> bool:
    from intertwine.reps import Rep
    from intertwine.reps.document import is_given_by_generators

    return isinstance(rep, Rep) and is_given_by_generators(rep)


async def send_data(session: Session, data: GivenData) -> str | Document:
    """Return the `dataset` of a training request. Arrays are uploaded first."""
    X = data.X
    if data.Y is not None:
        return (await _upload(session, data, _query(data))).digest
    if isinstance(X, StoredDataset):
        return X.digest
    if isinstance(X, Mapping):
        return dict(X)
    if isinstance(X, str):
        return X if len(X) == _DIGEST else {"name": X}
    raise InvalidSetting(
        f"the data are {type(X).__name__} alone: give arrays X and Y, a dataset of "
        f"intertwine.datasets, or the name or digest of one at the service"
    )


async def upload_dataset(session: Session, data: GivenData) -> StoredDataset:
    """Upload X and Y with their known reps. Equal data are stored once.

    Raises `InvalidSetting` if the group's generators are too long for an address.
    """
    query = _query(data)
    if data.reps.keys() - query.keys():
        raise InvalidSetting(
            f"the group's generators take more than {_LONGEST_GROUP:,} characters, too many for "
            f"an upload: omit the group here, and give it to train"
        )
    return await _upload(session, data, query)


async def _upload(session: Session, data: GivenData, query: Mapping[str, str]) -> StoredDataset:
    import numpy as np

    arrays = {"X": np.asarray(data.X), "Y": np.asarray(data.Y)}
    for name, array in arrays.items():
        if np.iscomplexobj(array):
            raise FormatError(f"{name} is complex: samples are real numbers")
    request = HttpRequest(
        "POST",
        "/v1/datasets",
        query=query,
        headers={"content-type": SAFETENSORS},
        body=write_arrays(arrays),
        answer=Schema.DATASET,
        idempotent=True,
    )
    return StoredDataset.of(await fetch(session, request))


async def list_datasets(session: Session) -> list[StoredDataset]:
    """Return the caller's datasets, the newest first."""
    found = await list_all(session, "/v1/datasets", Schema.DATASETS)
    return [StoredDataset.of(document) for document in found]


async def delete_dataset(session: Session, digest: str) -> None:
    """Delete a dataset."""
    await send(session, HttpRequest("DELETE", f"/v1/datasets/{quote(digest, safe='')}"))


def _require_group_of(reps: Mapping[str, Rep], group: Group) -> None:
    from intertwine.reps.syntax import groups_of

    for name, rep in reps.items():
        if any(own != group for own in groups_of(rep)):
            raise InvalidSetting(
                f"the group is {group!r}, but {name} of the network is {rep!r}: omit the group, "
                f"or give a network with that group, or a description of one"
            )


def _query(data: GivenData) -> dict[str, str]:
    """Return the known name, reps and group as query parameters.

    Reps and group are omitted if the generators are too long for an address.
    """
    query: dict[str, str] = {"name": data.name} if data.name else {}
    reps = data.reps
    group = reps.get("group")
    if not isinstance(group, str | None):
        reps["group"] = json.dumps(group, separators=(",", ":"))
    if len(str(reps.get("group"))) > _LONGEST_GROUP:
        return query
    return {**query, **reps}
