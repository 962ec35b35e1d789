"""How a page draws the losses of jobs: smoothed or not, on a logarithmic or linear scale."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query

from intertwine_api.wire.jobs import JobDocument


@dataclass(frozen=True)
class CurveOptions:
    """The options of `plot_histories`, as the query of a page has them."""

    smooth: float = 0.0
    scale: Literal["log", "linear"] = "log"

    @property
    def changed(self) -> dict[str, Any]:
        """The options that differ from the defaults."""
        return {
            **({"smooth": self.smooth} if self.smooth else {}),
            **({"scale": self.scale} if self.scale != "log" else {}),
        }

    @property
    def words(self) -> str:
        """The options in words, for the text of a picture."""
        name = "logarithmic" if self.scale == "log" else "linear"
        smoothing = f", smoothed by {self.smooth:g}" if self.smooth else ""
        return f"on a {name} scale{smoothing}"


def _curve_options(
    smooth: Annotated[float, Query(ge=0, lt=1)] = 0.0,
    scale: Literal["log", "linear"] = "log",
) -> CurveOptions:
    return CurveOptions(smooth, scale)


_DEFAULT = CurveOptions()
#: The options of the query.
TheCurveOptions = Annotated[CurveOptions, Depends(_curve_options)]


def has_pictures() -> bool:
    """Whether Matplotlib is installed, which draws the pictures."""
    return find_spec("matplotlib") is not None


def picture_address(jobs: list[JobDocument], curves: CurveOptions = _DEFAULT) -> str:
    """Return the address of a picture of jobs' losses, relative to the root.

    It changes with each attempt and epoch, so that browsers may keep the picture.
    """
    lasts = (0 if job.metrics.last is None else job.metrics.last.epoch for job in jobs)
    at = "-".join(f"{job.attempt}.{last}" for job, last in zip(jobs, lasts, strict=True))
    query = [*(("job", job.id) for job in jobs), ("at", at), *curves.changed.items()]
    return f"jobs/losses.svg?{urlencode(query)}"
