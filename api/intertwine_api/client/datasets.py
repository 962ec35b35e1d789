"""Data to train on: at a service already, or sent to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from intertwine.errors import FormatError, InvalidSetting

from intertwine_api.client.retries import Document, Retries, answered, list_all
from intertwine_api.client.steps import Ask, Operation
from intertwine_api.wire.safetensors_body import SAFETENSORS, write_arrays
from intertwine_api.wire.wire_format import SentRep, group_document, over_group_of

if TYPE_CHECKING:
    from intertwine.groups import Group
    from intertwine.reps import Rep

_REPS = ("rep_in", "rep_out")
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
        data = self._with_group_of_reps()
        if hasattr(self.X, "X") and hasattr(self.X, "Y"):
            data = replace(data, X=self.X.X, Y=self.X.Y).with_reps_of(self.X)
        elif isinstance(self.X, tuple) and len(self.X) == 2 and self.Y is None:
            data = replace(data, X=self.X[0], Y=self.X[1])
        return data.with_reps_of(model)

    def with_reps_of(self, other: Any) -> GivenData:
        """With the reps and the group that something else has, where none were given."""

        def read(name: str) -> Any:
            return other.get(name) if isinstance(other, Mapping) else getattr(other, name, None)

        group = read("symmetry") if read("group") is None else read("group")
        return replace(
            self,
            rep_in=read("rep_in") if self.rep_in is None else self.rep_in,
            rep_out=read("rep_out") if self.rep_out is None else self.rep_out,
            group=group if self.group is None else self.group,
        )

    @property
    def reps(self) -> Document:
        """`rep_in`, `rep_out` and their `group`, as they are written, as far as they are known.

        Raises what reading them raises; `NotConcrete` where data that are to be sent have reps and
        no group. Of data that the service has, it knows the group.
        """
        from intertwine.groups import read_group

        said: Document = {}
        if self.group is not None:
            said["group"] = group_document(read_group(self.group))
        for name in _REPS:
            rep = getattr(self, name)
            if rep is not None:
                sent = SentRep.of(rep, self.group, may_lack_group=self.Y is None)
                said[name] = sent.text
                if sent.group is not None:
                    said["group"] = sent.group
        return said

    @property
    def given_reps(self) -> Document:
        """Those of `reps` that were given beside the data and the model, by neither of them."""
        return replace(self, X=None, Y=None)._with_group_of_reps().reps

    def require_reps_of(self, network: Any) -> None:
        """Raise `InvalidSetting` where other reps, or another group, were given than a network's.

        A network is trained between the reps that it has.
        """
        from intertwine.groups import read_group
        from intertwine.reps import read_rep

        given = self._with_group_of_reps()
        own = {name: rep for name in _REPS if (rep := getattr(network, name, None)) is not None}
        if given.group is not None:
            _require_group_of(own, read_group(given.group))
        for name, rep in own.items():
            asked = getattr(given, name)
            if asked is not None and over_group_of(rep, read_rep(asked)) != rep:
                raise InvalidSetting(
                    f"{name} is {asked}, and that of the network is {rep!r}: leave it out, or give "
                    f"a network of that rep, or a description of one"
                )

    def _with_group_of_reps(self) -> GivenData:
        """With the group of the reps that were given, where none was by itself."""
        if self.group is not None:
            return self
        from intertwine.reps import read_rep

        given = (rep for rep in (self.rep_in, self.rep_out) if rep is not None)
        groups = (group for rep in given if (group := read_rep(rep).G) is not None)
        return replace(self, group=next(groups, None))


def send_data(data: GivenData, retries: Retries) -> Operation[str | Document]:
    """What a training says of its data, which are sent first where they are arrays."""
    X = data.X
    if data.Y is not None:
        return (yield from _upload(data, _described(data), retries)).digest
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
    """Send X and Y, and what is known of their reps. The same data are kept once.

    Raises `InvalidSetting` for a group of more generators than can be said of data alone.
    """
    described = _described(data)
    if data.reps.keys() - described.keys():
        raise InvalidSetting(
            f"the group's generators take more than {_LONGEST_GROUP:,} characters, which is more "
            f"than goes with data: leave it out here, and give it to train"
        )
    return (yield from _upload(data, described, retries))


def _upload(
    data: GivenData, described: Mapping[str, str], retries: Retries
) -> Operation[StoredDataset]:
    import numpy as np

    arrays = {"X": np.asarray(data.X), "Y": np.asarray(data.Y)}
    for name, array in arrays.items():
        if np.iscomplexobj(array):
            raise FormatError(f"{name} is complex, and samples are real numbers")
    ask = Ask(
        "POST",
        "/v1/datasets",
        query=described,
        headers={"content-type": SAFETENSORS},
        body=write_arrays(arrays),
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


def _require_group_of(reps: Mapping[str, Rep], group: Group) -> None:
    from intertwine.reps.syntax import groups_of

    for name, rep in reps.items():
        if any(own != group for own in groups_of(rep)):
            raise InvalidSetting(
                f"the group is {group!r}, and {name} of the network is {rep!r}: leave the group "
                f"out, or give a network of that group, or a description of one"
            )


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
