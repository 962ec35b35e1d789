"""A fit on the disk, from which it resumes after a crash.

One file holds everything, so that it is never half old and half new: a safetensors file with the
arrays, and the rest as JSON in its header. It is written under another name, synced and renamed, so
that a crash leaves the previous one. A digest of the whole content detects damage.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from intertwine.errors import FormatError, InvalidSetting
from intertwine.training.engine import State, Steps
from intertwine.training.history import History
from intertwine.training.training_state import Best, TrainingState
from intertwine.whole_files import whole_file

#: The learning rate of every step.
Rates = Float[np.ndarray, "epochs batches"]

#: Raises if a file of so many bytes may not be written to the folder.
RoomCheck = Callable[[Path, int], object]

_NAME = "checkpoint.safetensors"
_FORMAT, _VERSION = "intertwine-checkpoint", 1


@dataclass(frozen=True)
class Checkpoint:
    """The folder of a checkpoint, and the settings that a fit must share to resume from it.

    `steps` read and write the trees of their library. `require_room` is called before each write,
    and may raise: the previous checkpoint remains.
    """

    folder: Path
    settings: Mapping[str, Any]
    steps: Steps
    require_room: RoomCheck | None = None

    @property
    def path(self) -> Path:
        """The checkpoint file."""
        return self.folder / _NAME

    def save(self, training: TrainingState, rates: Rates) -> None:
        """Write the state of a fit atomically."""
        arrays = {
            **_named("weights", self.steps.to_arrays(training.state.weights)),
            **_named("moments", self.steps.to_arrays(training.state.moments)),
        }
        best = None
        if training.best is not None:
            arrays |= _named("best", self.steps.to_arrays(training.best.weights))
            best = {"epoch": training.best.epoch, "loss": training.best.loss}
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "settings": dict(self.settings),
            "history": training.history.to_json(),
            "best": best,
            "rates": _digest_of(rates[: training.epoch]),
        }
        written = _to_bytes(arrays, json.dumps(content, allow_nan=False))
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.require_room is not None:
            self.require_room(self.folder, len(written))
        with whole_file(self.path) as file:
            file.write(written)

    def resume(self, start: TrainingState, rates: Rates) -> TrainingState:
        """Return the saved state of the fit, or `start` if there is no checkpoint.

        Raises `InvalidSetting` for a checkpoint of another fit, `FormatError` for a damaged one.
        """
        if not self.path.exists():
            return start
        try:
            arrays, content = _read(self.path)
            self._require_same(content["settings"])
            rows = list(History.from_json(content["history"]))
            self._require_rates(content["rates"], rates, len(rows))
            best = content["best"]
            weights, moments = start.state
            return TrainingState(
                State(
                    self.steps.from_arrays(_part("weights", arrays), weights),
                    self.steps.from_arrays(_part("moments", arrays), moments),
                ),
                rows,
                best and Best(self.steps.from_arrays(_part("best", arrays), weights), **best),
            )
        except (FormatError, KeyError) as error:
            raise FormatError(
                f"the checkpoint {self.path} cannot be read: {error}. Delete it to start this fit "
                f"again, or restore a copy of it"
            ) from error

    def _require_same(self, kept: Mapping[str, Any]) -> None:
        different = [
            f"the {name} differ"
            if isinstance(self.settings.get(name), list)
            else f"{name} is {kept.get(name)} there and {self.settings.get(name)} here"
            for name in sorted({*kept, *self.settings})
            if not _agree(kept.get(name), self.settings.get(name))
        ]
        if different:
            raise InvalidSetting(
                f"the checkpoint {self.path} is of another fit: {'; '.join(different)}. Give the "
                f"same arguments to resume it, or another folder"
            )

    def _require_rates(self, kept: str, rates: Rates, epochs: int) -> None:
        if epochs > len(rates) or _digest_of(rates[:epochs]) != kept:
            raise InvalidSetting(
                f"the checkpoint {self.path} is of another fit: its {epochs} epochs had other "
                f"learning rates than those here, or are more than those here. Give the same "
                f"learning_rate, schedule and epochs to resume it, or another folder"
            )


def _agree(a: Any, b: Any) -> bool:
    """Return whether two settings are equal; initial weights, up to rounding."""
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return bool(np.allclose(a, b, rtol=1e-3, atol=1e-6))
    return bool(a == b)


def _to_bytes(arrays: dict[str, Shaped[np.ndarray, "..."]], text: str) -> bytes:
    from safetensors.numpy import save

    return save(arrays, {"intertwine": text, "sha256": _digest(arrays, text)})


def _read(path: Path) -> tuple[dict[str, Shaped[np.ndarray, "..."]], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise FormatError(f"it is not a complete safetensors file ({error})") from error
    text = metadata.get("intertwine", "")
    if metadata.get("sha256") != _digest(arrays, text):
        raise FormatError("its content is not what was written")
    content = json.loads(text)
    if (content["format"], content["version"]) != (_FORMAT, _VERSION):
        raise FormatError(f"its format is {content['format']} {content['version']}, which is newer")
    return arrays, content


def _digest(arrays: Mapping[str, Shaped[np.ndarray, "..."]], text: str) -> str:
    found = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        found.update(f"{name}{arrays[name].dtype.name}{arrays[name].shape}".encode())
        found.update(arrays[name].tobytes())
    return found.hexdigest()


def _digest_of(rates: Rates) -> str:
    return hashlib.sha256(rates.tobytes()).hexdigest()


def _named(
    name: str, arrays: Mapping[str, Shaped[np.ndarray, "..."]]
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return the arrays of a tree by their names in the file."""
    return {f"{name}.{key}": array for key, array in arrays.items()}


def _part(
    name: str, arrays: Mapping[str, Shaped[np.ndarray, "..."]]
) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Return the arrays of a tree by their names in it."""
    start = f"{name}."
    return {key[len(start) :]: one for key, one in arrays.items() if key.startswith(start)}
