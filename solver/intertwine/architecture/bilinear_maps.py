"""The maps of a bilinear layer, in either form."""

from __future__ import annotations

from typing import Literal

from intertwine.architecture.channelwise_maps import ChannelwiseMaps, channelwise_maps_of
from intertwine.architecture.paper_maps import PaperMaps, paper_maps_of
from intertwine.errors import InvalidSetting
from intertwine.groups import Group, Trivial
from intertwine.integers import checked_integer
from intertwine.reps import Rep
from intertwine.reps.syntax import groups_of

SHARE = 0.1
"""The factor of a bilinear layer, as in the paper's code: the layer is added to a shortcut."""

Bilinear = Literal["channelwise", "paper"]
BilinearMaps = ChannelwiseMaps | PaperMaps


def bilinear_maps_of(
    rep_in: Rep, rep_out: Rep, group: Group | None, bilinear: str, channels: int
) -> BilinearMaps:
    """Return the bilinear maps between concrete reps. `group` is that of scalars.

    Raises `InvalidSetting` for an unknown form, for channelwise products of several groups, and for
    a number of channels that is not an integer.
    """
    channels = checked_integer(channels, "the number of channels")
    if require_form(bilinear) == "paper":
        return paper_maps_of(rep_in, rep_out)
    return channelwise_maps_of(rep_in, rep_out, _one_group(rep_in, rep_out, group), channels)


def require_form(bilinear: str) -> str:
    """Return the form of the products. Raises `InvalidSetting` for an unknown one."""
    if bilinear not in ("channelwise", "paper"):
        raise InvalidSetting(f'bilinear is "channelwise" or "paper", not {bilinear!r}')
    return bilinear


def _one_group(rep_in: Rep, rep_out: Rep, group: Group | None) -> Group:
    """Return the group of two reps; scalars have any. Raises `InvalidSetting` for more groups."""
    first, *others = {*groups_of(rep_in), *groups_of(rep_out)} or {group or Trivial(1)}
    if others:
        raise InvalidSetting(
            f"channelwise products need reps of one group, and these have {len(others) + 1}: "
            f'use bilinear="paper"'
        )
    return first
