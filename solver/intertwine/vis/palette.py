"""Colours that distinguish entries, also for colour-blind readers.

An image is an array of shape (n, m, 3) of RGB values. Zeros are a pale grey, and negative entries
are a tint of the colour of positive ones.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Inexact, Int, UInt8

_ZERO = np.array([0.94, 0.94, 0.95])
_WHITE = np.ones(3)
_TINT = 0.62
"""The share of white in a negative entry."""
_FEW = np.array(
    [
        (0.000, 0.447, 0.698),  # blue
        (0.902, 0.624, 0.000),  # orange
        (0.000, 0.620, 0.451),  # green
        (0.835, 0.369, 0.000),  # vermilion
        (0.800, 0.475, 0.655),  # purple
        (0.337, 0.706, 0.914),  # sky
        (0.941, 0.894, 0.259),  # yellow
    ]
)
"""The colours of Okabe and Ito (2008), without black."""
_QUARTERS = _FEW[[0, 2, 3, 4, 0]]
"""The hues of 1, i, −1, −i, and 1 again: blue, green, vermilion, purple, blue."""
_GOLDEN = (5**0.5 - 1) / 2  # the multiples of the golden ratio, mod 1, stay far apart
_FAINTEST = 0.2
"""The share of colour in the smallest nonzero entry."""


def paint_clusters(
    labels: Int[np.ndarray, "n m"],
    signs: Inexact[np.ndarray, "n m"],
    count: int | None = None,
) -> UInt8[np.ndarray, "n m 3"]:
    """Return one colour per cluster, paler the more a sign differs from the first one.

    `count` is the number of clusters, if not all of them are among the labels.
    """
    count = int(labels.max(initial=-1)) + 1 if count is None else count
    colours = np.vstack([cluster_colours(count), _ZERO])  # the label −1 is last
    paleness = _TINT * (1 - signs.real) / 2 * (labels >= 0)
    return _mixed(colours[labels], _WHITE, paleness)


def paint_values(values: Inexact[np.ndarray, "n m"]) -> UInt8[np.ndarray, "n m 3"]:
    """Return phase as hue (blue is positive, vermilion negative), and magnitude as strength."""
    size = np.abs(values)
    strength = size / size.max(initial=1e-300)
    visible = strength > 1e-8
    share = np.where(visible, _FAINTEST + (1 - _FAINTEST) * strength, 0.0)
    turns = (np.angle(values) / (2 * np.pi)) % 1
    at = np.arange(len(_QUARTERS)) / 4
    hues = np.stack([np.interp(turns, at, channel) for channel in _QUARTERS.T], axis=-1)
    return _mixed(hues, _ZERO, 1 - share)


def cluster_colours(count: int) -> Float[np.ndarray, "count 3"]:
    """Return `count` different colours: named ones if few are needed, else from all along a scale
    of growing lightness, neighbours far apart.
    """
    if count <= len(_FEW):
        return _FEW[:count]
    from matplotlib import colormaps

    order = np.argsort(np.arange(count) * _GOLDEN % 1)
    scale: Float[np.ndarray, "count 3"] = colormaps["viridis"](np.linspace(0, 1, count))[order, :3]
    return scale


def _mixed(
    colours: Float[np.ndarray, "n m 3"],
    other: Float[np.ndarray, " 3"],
    share: Float[np.ndarray, "n m"],
) -> UInt8[np.ndarray, "n m 3"]:
    mixed = colours + share[..., None] * (other - colours)
    image: UInt8[np.ndarray, "n m 3"] = np.round(255 * mixed).astype(np.uint8)
    return image
