"""The history of a fit: rows, JSON, and curves."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from helpers.example_training import affine, pairs
from intertwine.errors import FormatError, InvalidSetting
from intertwine.training import Epoch, History, fit, plot_histories
from intertwine.training.smoothing import smoothed

ROWS = (
    Epoch(1, 2.0, None, None, 0.003, 0.5),
    Epoch(2, 0.1 + 0.2, 3.0, 4.0, None, 1.25),
    Epoch(3, 0.01, None, None, 0.003, 1.5),
)
ROWS_OF_LOSSES = [(1, 2.0), (2, 0.1 + 0.2), (3, 0.01)]


def test_it_is_a_sequence_of_epochs() -> None:
    history = History(ROWS)
    assert len(history) == 3
    assert history[-1] == ROWS[2]
    assert list(history) == list(ROWS)
    assert history[1:] == History(ROWS[1:])
    assert history.column("train_loss") == [(1, 2.0), (2, 0.1 + 0.2), (3, 0.01)]
    assert history.column("test_loss") == [(2, 3.0)]


def test_json_round_trips_exactly() -> None:
    history = History(ROWS)
    assert History.from_json(json.loads(json.dumps(history.to_json()))) == history


@pytest.mark.parametrize("rows", [None, [1], [{"epoch": 1}], {"epoch": 1}], ids=str)
def test_invalid_json_is_refused(rows: object) -> None:
    with pytest.raises(FormatError, match="a history is a list of objects with epoch, "):
        History.from_json(rows)


def test_its_repr_shows_the_last_losses() -> None:
    told = "History of 3 epochs in 1.5 s, train loss 0.01, validation loss 4, test loss 3"
    assert repr(History(ROWS)) == told
    assert repr(History(())) == "History of no epochs"


@pytest.mark.slow
def test_curves_are_drawn_on_a_logarithmic_scale(tmp_path: Path) -> None:
    path = tmp_path / "losses.png"
    History(ROWS).save(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    axes, rates = History(ROWS).plot().axes
    assert axes.get_yscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "train",
        "validation",
        "test",
    ]
    assert list(axes.lines[0].get_ydata()) == [2.0, 0.1 + 0.2, 0.01]
    assert rates.get_ylabel() == "learning rate"
    assert list(rates.lines[0].get_xdata()) == [1, 3]


def test_smoothing_is_an_average_without_the_bias_of_its_start() -> None:
    nan = math.nan
    points = [(1, 4.0), (2, 2.0), (7, nan), (9, 1.0)]
    found = smoothed(points, 0.5)
    assert [epoch for epoch, _ in found] == [1, 2, 7, 9]
    expected = [4.0, (4.0 / 2 + 2.0) / 1.5, nan, (4.0 / 4 + 2.0 / 2 + 1.0) / 1.75]
    assert [value for _, value in found] == pytest.approx(expected, nan_ok=True)
    assert smoothed([(epoch, 3.0) for epoch in range(50)], 0.99)[-1][1] == pytest.approx(3.0)
    assert smoothed(ROWS_OF_LOSSES, 0.0) == ROWS_OF_LOSSES
    assert smoothed([], 0.9) == []


def test_a_smoothed_curve_lies_over_the_faint_measured_one() -> None:
    axes, rates = History(ROWS).plot(smooth=0.5, scale="linear").axes
    average, measured = axes.lines[:2]
    assert list(measured.get_ydata()) == [loss for _, loss in ROWS_OF_LOSSES]
    assert list(average.get_ydata()) == [loss for _, loss in smoothed(ROWS_OF_LOSSES, 0.5)]
    assert measured.get_color() == average.get_color()
    assert (measured.get_alpha(), average.get_alpha()) == (0.3, None)
    assert measured.get_zorder() < average.get_zorder()
    assert (axes.get_yscale(), rates.get_yscale()) == ("linear", "linear")
    assert len(rates.lines) == 1
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["train", "validation", "test"]


@pytest.mark.parametrize("smooth", [1.0, -0.1, math.nan])
def test_a_smoothing_that_is_no_average_is_refused(smooth: float) -> None:
    told = f"smooth is {smooth}: give a number from 0 up to, but not including, 1"
    with pytest.raises(InvalidSetting) as caught:
        History(()).plot(smooth=smooth)
    assert str(caught.value) == told


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(InvalidSetting) as caught:
        History(ROWS).plot(scale="lin")  # type: ignore[arg-type]
    assert str(caught.value) == 'scale is \'lin\': give "log" or "linear"'


@pytest.mark.slow
def test_several_histories_have_a_colour_each() -> None:
    plain = History((Epoch(1, 2.0, 3.0, None, None, 0.5), Epoch(2, 1.0, 2.0, None, None, 1.0)))
    names = ["$\\frac", "_hidden", "<b>"]
    axes = plot_histories(dict.fromkeys(names, plain)).axes
    assert len(axes) == 1  # no learning rate was measured
    lines = axes[0].lines
    assert len({line.get_color() for line in lines}) == 3
    assert [line.get_linestyle() for line in lines] == ["-", "--"] * 3
    texts = axes[0].get_legend().get_texts()
    assert [text.get_text() for text in texts] == [*names, "train loss", "test loss"]
    assert not any(text.get_parse_math() for text in texts)


@pytest.mark.slow
@pytest.mark.parametrize("names", [(), ("a",), ("a", "b")], ids=str)
def test_histories_without_epochs_have_no_curves(names: tuple[str, ...]) -> None:
    axes = plot_histories(dict.fromkeys(names, History(()))).axes[0]
    assert not any(len(line.get_xdata()) for line in axes.lines)


def test_losses_of_zero_and_no_epochs_are_drawn_too() -> None:
    zero = History((Epoch(1, 0.0, None, None, None, 0.0),))
    assert zero.plot().axes[0].get_yscale() == "linear"
    assert History(())._repr_png_().startswith(b"\x89PNG")


def test_a_notebook_shows_the_curves() -> None:
    trained = fit(affine(3, 2), pairs(), test=pairs(9), epochs=3)
    html = trained._repr_html_()
    assert "data:image/png;base64," in html
    assert "History of 3 epochs" in html
    assert trained.history._repr_png_().startswith(b"\x89PNG")
    assert repr(trained).startswith("<Trained Affine: History of 3 epochs in ")
    assert all(math.isfinite(row["train_loss"]) for row in trained.history.to_json())
