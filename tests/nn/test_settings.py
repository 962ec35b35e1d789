"""Arguments of layers are checked before anything is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from intertwine.errors import InvalidSetting
from intertwine.nn.settings import working


def test_weights_are_complex_if_the_group_is() -> None:
    assert working(None, is_complex=False) == jnp.float32
    assert working(None, is_complex=True) == jnp.complex64
    with jax.enable_x64(True):
        assert working("float64", is_complex=True) == jnp.complex128


@pytest.mark.parametrize(
    ("check", "value", "said"),
    [
        *(
            (
                lambda v: working(v, False),
                kind,
                "weights are float32, float64, bfloat16, float16, complex64, complex128, not "
                f"{kind}: give one of these as dtype=",
            )
            for kind in ("int32", "float8_e4m3fn")
        ),
        (
            lambda v: working(v, True),
            "float16",
            "the group acts by complex numbers, so weights are float32, float64, complex64, "
            "complex128, not float16: give one of these as dtype=",
        ),
        (lambda v: working(v, False), "real", "'real' is not a dtype such as float32"),
        (
            lambda v: working(v, False),
            "float64",
            'float64 is disabled in JAX: call jax.config.update("jax_enable_x64", True) before '
            "anything else",
        ),
    ],
)
def test_invalid_settings_are_refused(check: Callable[[Any], Any], value: Any, said: str) -> None:
    with jax.enable_x64(False), pytest.raises(InvalidSetting) as caught:
        check(value)
    assert str(caught.value) == said
