"""A recipe in a TOML file: the fields of ``POST /v1/jobs``, with the path of the samples.

Reading a file needs no extra: a laptop sends the recipe, and the service validates it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intertwine.errors import FormatError, InvalidSetting
from intertwine.training.recipe.framework import DEFAULT

if TYPE_CHECKING:
    from intertwine.training.recipe.description import TrainRequest
    from intertwine.training.recipe.samples import Samples
    from intertwine.training.recipe.training_data import TrainingData


_UNKNOWN = "0" * 64  # in place of the digest of samples that have not been read
_MOST_BYTES = 2**40
#: The fields of a job at a service, which a training on this machine ignores.
_OF_JOBS = ("kind", "labels", "priority", "limits")


@dataclass(frozen=True)
class Config:
    """A recipe as its file states it. `samples` is the path of the samples, if there is one."""

    document: Mapping[str, Any]
    samples: Path | None

    @classmethod
    def read(cls, path: Path, changes: Iterable[str] = ()) -> Config:
        """Read a file, and apply changes such as ``training.epochs=5``.

        A text as dataset is the path of an npz or safetensors file, seen from the config's folder;
        or the digest of a dataset that a service has.
        Raises `FormatError` for what is no TOML, `InvalidSetting` for a change that changes nothing
        and for a job of another kind. Whoever it is handed to looks at the rest: `request`, or the
        service.
        """
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise FormatError(f"{path} is no TOML: {error}") from error
        for change in changes:
            _change(document, change)
        if document.get("kind", "train") != "train":
            raise InvalidSetting(f"kind is {document['kind']!r}, and this trains: leave it out")
        samples, dataset = None, document.get("dataset")
        if isinstance(dataset, str) and not re.fullmatch("[0-9a-f]{64}", dataset):
            samples = path.parent / dataset
            document["dataset"] = _UNKNOWN
        return cls(document, samples)

    @property
    def framework(self) -> str:
        """The name of the framework that trains, which may be unknown."""
        return str(self.document.get("framework", DEFAULT))

    def request(self, digest: str | None = None) -> TrainRequest:
        """Return the validated request, with the digest of samples in a file.

        Raises `InvalidSetting` for invalid fields.
        """
        from pydantic import ValidationError

        from intertwine.training.recipe.description import TrainRequest

        document = {k: value for k, value in self.document.items() if k not in _OF_JOBS}
        if digest is not None:
            document["dataset"] = digest
        try:
            return TrainRequest.model_validate(document)
        except ValidationError as error:
            raise InvalidSetting("; ".join(map(_told, error.errors()))) from error

    def gather(self) -> tuple[TrainRequest, TrainingData]:
        """Return the request and its samples. Raises what reading them raises."""
        from intertwine.training.recipe.dataset_info import info_of
        from intertwine.training.recipe.description import BuiltIn
        from intertwine.training.recipe.training_data import TrainingData

        if self.samples is None:
            request = self.request()
            if not isinstance(request.dataset, BuiltIn):
                raise InvalidSetting(
                    f"the dataset {request.dataset[:12]}… is at a service: train there, with "
                    f"--remote, or give the path of a file"
                )
            return request, TrainingData.built_in(request, request.dataset)
        samples = self.read_samples()
        info = info_of(samples)
        request = self.request(info.id)
        return request, TrainingData.uploaded(request, samples, info)

    def read_samples(self) -> Samples:
        """Return the samples of the file."""
        from intertwine.training.recipe.sample_files import read_samples
        from intertwine.training.recipe.samples import Samples

        assert self.samples is not None
        return Samples.of(*read_samples(self.samples, _MOST_BYTES))


def _change(document: dict[str, Any], change: str) -> None:
    """Write ``table.name=value`` into the document; a value that is not TOML is a string."""
    name, equals, text = change.partition("=")
    *tables, last = name.strip().split(".")
    if not equals or not last:
        raise InvalidSetting(f"{change!r} changes nothing: say it as training.epochs=5")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for table in tables:
        inner = document.setdefault(table, {})
        if not isinstance(inner, dict):
            raise InvalidSetting(f"{name} cannot be set: {table} is {inner!r}, and no table")
        document = inner
    document[last] = value


def _told(fault: Mapping[str, Any]) -> str:
    skipped = ("described", "saved", "BuiltIn", "constrained-str")  # pydantic's, of unions
    where = ".".join(str(part) for part in fault["loc"] if part not in skipped)
    return f"{where or 'the training'}: {fault['msg']}"
