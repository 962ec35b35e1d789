"""How a group acts on samples: on inputs by one rep, on targets by another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from intertwine.errors import InvalidRep, InvalidSetting, NotConcrete, TooLarge
from intertwine.groups import Group, read_group
from intertwine.reps import Rep, parse
from intertwine.reps.syntax import groups_of
from intertwine.training.recipe.dataset_info import DatasetInfo

#: A group as text, or by its generators.
GroupDocument = str | Mapping[str, Any]
Loss = Literal["mse", "mae", "cross-entropy"]

MOST_WIDE = 100_000
"""The largest rep of inputs, targets or a hidden layer."""


@dataclass(frozen=True)
class TaskSymmetry:
    """The concrete reps of inputs and targets, and the group of those of hidden layers.

    A saved model may have reps of several groups; then `group` is None.
    """

    rep_in: Rep
    rep_out: Rep
    group: Group | None

    @classmethod
    def of(
        cls, group: GroupDocument | None, rep_in: str | None, rep_out: str | None
    ) -> TaskSymmetry:
        """Return the symmetry that texts describe.

        Raises the library's errors, and `InvalidSetting` for a missing rep.
        """
        if rep_in is None or rep_out is None:
            raise InvalidSetting(
                "neither the dataset nor the model says how the group acts on inputs and targets: "
                "give the model a rep_in and a rep_out, such as 5V0+5V and V**2"
            )
        reps = parse(rep_in), parse(rep_out)
        if group is not None:
            found = read_group(group)
            reps = reps[0](found), reps[1](found)
        else:
            found = _one_group(*reps)
        for rep in reps:
            _require_narrow(rep)
        return cls(*reps, found)

    @property
    def is_complex(self) -> bool:
        """Whether an element acts by a complex matrix."""
        return any(
            group.is_complex for rep in (self.rep_in, self.rep_out) for group in groups_of(rep)
        )

    def require_fit(self, info: DatasetInfo, loss: Loss) -> None:
        """Raise if the reps have other sizes than the samples, or act by complex matrices."""
        if self.is_complex:
            raise InvalidSetting(
                f"{self.group!r} acts by complex matrices, and samples are real numbers: write its "
                f"reps as real ones, or train with intertwine.training.fit"
            )
        _require_size(self.rep_in, info.width_in, "inputs")
        if loss != "cross-entropy" or info.labels is None:
            _require_size(self.rep_out, info.width_out, "targets")
            return
        least, largest = info.labels
        if not 0 <= least <= largest < self.rep_out.size():
            raise InvalidSetting(
                f"the labels go from {least} to {largest}, and {self.rep_out!r} has "
                f"{self.rep_out.size()} scores, for the classes 0 to {self.rep_out.size() - 1}"
            )

    def loss_for(self, info: DatasetInfo, asked: Loss | None) -> Loss:
        """Return the requested loss, or the one that fits the targets."""
        if asked is not None:
            return asked
        return "cross-entropy" if info.labels and self.rep_out.size() > 1 else "mse"


def require_fit(
    inputs: Mapping[str, Any],
    targets: Mapping[str, Any],
    group: GroupDocument | None,
    rep_in: str | None,
    rep_out: str | None,
) -> None:
    """Raise if group and reps, as far as they are given, do not fit the samples."""
    found = None if group is None else read_group(group)
    for text, facts, what in ((rep_in, inputs, "inputs"), (rep_out, targets, "targets")):
        if text is None:
            continue
        rep = parse(text) if found is None else parse(text)(found)
        if not rep.is_concrete:
            continue
        _require_narrow(rep)
        if len(facts["shape"]) > 1:
            _require_size(rep, facts["shape"][1], what)


def _one_group(*reps: Rep) -> Group:
    groups = {group for rep in reps for group in groups_of(rep)}
    if len(groups) != 1 or not all(rep.is_concrete for rep in reps):
        told = " and ".join(map(str, reps))
        raise NotConcrete(
            f"{told} need a group: give one as text, such as SO(3), or by its generators"
        )
    return groups.pop()


def _require_size(rep: Rep, width: int, what: str) -> None:
    if rep.size() != width:
        raise InvalidRep(
            f"{rep!r} has size {rep.size():,}, and the {what} have {width:,} numbers a sample"
        )


def _require_narrow(rep: Rep) -> None:
    if rep.size() > MOST_WIDE:
        raise TooLarge(f"{rep!r} has size {rep.size():,}; networks are trained up to {MOST_WIDE:,}")
