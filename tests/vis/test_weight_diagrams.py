"""Pictures of weights."""

from __future__ import annotations

import numpy as np
import pytest
from intertwine.errors import MethodNotApplicable
from intertwine.groups import SO, SU, U
from intertwine.irreps import weights
from intertwine.reps import V
from intertwine.vis import draw_weights


@pytest.mark.parametrize("group", [SU(3), U(2), SO(3)], ids=repr)
def test_each_weight_is_a_dot_and_each_simple_root_an_arrow(group: SU) -> None:
    table = weights((V**2)(group))
    axes = draw_weights(table)
    (dots,) = axes.collections
    places = np.asarray(dots.get_offsets())
    np.testing.assert_allclose(places[:, : table.positions.shape[1]], table.positions, atol=1e-12)
    written = [text.get_text() for text in axes.texts]
    assert sorted(x for x in written if x) == sorted(str(m) for m in table.multiplicities if m > 1)
    assert written.count("") == table.roots.rank
    assert axes._repr_png_().startswith(b"\x89PNG")


def test_a_larger_rank_is_refused() -> None:
    with pytest.raises(MethodNotApplicable, match="those of A3 have 3"):
        draw_weights(V(SU(4)))
