"""Compare test errors on the paper's tasks, by training-set size, with the published figures.

The protocol is that of Finzi, Welling and Wilson (2021, §7; see `published.json`): Adam, batches
of 500, width 384, 3 layers, min(900000/n, 1000) epochs, 1000 validation and 5000 test points, the
weights with the least validation loss. `--training paper` has a constant learning rate of 3e-3 and
targets as they are; `--training better` warms up to 1e-2 and falls to zero along a cosine,
standardises targets too, and trains once with each of two weight decays, of which it keeps the one
with the least validation loss. `--training polynomial` fits equivariant polynomials in closed form
first, and trains the network of `better` on the residuals, if they are more than rounding errors
(`fit_with_polynomial`). Validation data select the model. Finished rows are appended to a file, and
a later run adds the missing ones.

    python benchmarks/paper.py --short                      # three minutes: one size a task
    python benchmarks/paper.py --rows build/paper.jsonl     # all of it: an hour or two
    python benchmarks/paper.py --rows build/paper.jsonl --table --plot build
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from intertwine.datasets import Inertia, O5Synthetic, ParticleInteraction
from intertwine.groups import O13, SO, SO13, Group, O, SO13p
from intertwine.nn import EMLP, MLP, Standardize
from intertwine.training import (
    evaluate,
    fit,
    fit_with_polynomial,
    model_equivariance_error,
)

PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text(encoding="utf-8"))
SIZES: list[int] = PUBLISHED["sizes"]
DATA = {"Inertia": Inertia, "O5Synthetic": O5Synthetic, "ParticleInteraction": ParticleInteraction}
GROUPS: dict[str, dict[str, Group]] = {
    "Inertia": {"O(3)": O(3), "SO(3)": SO(3)},
    "O5Synthetic": {"O(5)": O(5), "SO(5)": SO(5)},
    "ParticleInteraction": {"O(1,3)": O13(), "SO+(1,3)": SO13p(), "SO(1,3)": SO13()},
}
BASELINES = ("MLP", "MLP+Aug")
TRAININGS = ("paper", "better", "polynomial")
RATES = {"paper": 3e-3, "better": 1e-2, "polynomial": 1e-2}
DECAYS = {"paper": (0.0,), "better": (0.1, 0.3), "polynomial": (0.1, 0.0, 0.3)}
LARGEST_BATCH, VALIDATION, TEST = 500, 1000, 5000
GAIN = 0.1
"""The size of outputs at the start: from 1, O5Synthetic has five to nine times the errors."""


@dataclass(frozen=True)
class Run:
    """One network trained once."""

    task: str
    network: str
    training: str
    size: int
    trial: int


@dataclass(frozen=True)
class Row:
    """The result of a run: the mean squared error of the test set, on the targets' own scale."""

    task: str
    network: str
    training: str
    size: int
    trial: int
    test_mse: float
    equivariance_error: float
    best_epoch: int
    epochs: int
    seconds: float
    weight_decay: float = 0.0
    closed_form_mse: float | None = None
    """The test error of the polynomial alone."""
    chosen: str = "network"
    """The model that validation data selected: "network", "polynomial", or "sum"."""

    @property
    def run(self) -> Run:
        return Run(self.task, self.network, self.training, self.size, self.trial)


def measure(run: Run, decays: Sequence[float]) -> Row:
    """Train one network with each weight decay, and test the one with the least validation loss."""
    start = time.perf_counter()
    network = EMLP if run.network.startswith("EMLP") else MLP
    groups = GROUPS[run.task]
    group = groups.get(run.network.removeprefix("EMLP-"), next(iter(groups.values())))
    train, validation, test = (
        DATA[run.task](n, symmetry=group, seed=3 * run.trial + part)
        for part, n in enumerate((run.size, VALIDATION, TEST))
    )
    better = run.training != "paper"
    initial = {"gain": GAIN} if network is EMLP else {}
    plain = network(train.rep_in, train.rep_out, group, key=run.trial, **initial)
    epochs = min(900_000 // run.size, 1000)
    settings: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": LARGEST_BATCH,
        "learning_rate": RATES[run.training],
        "schedule": "warmup cosine" if better else "constant",
        "seed": run.trial,
        "evaluate_every": max(1, epochs // 200),
        "progress": False,
    }
    if run.training == "polynomial":
        found = fit_with_polynomial(
            plain, train, validation=validation, weight_decays=decays, **settings
        )
        closed = found.polynomial
        return Row(
            **asdict(run),
            test_mse=evaluate(found.model, test),
            equivariance_error=model_equivariance_error(found.model, test),
            best_epoch=found.trained.best_epoch if found.trained else 0,
            epochs=epochs if found.trained else 0,
            seconds=time.perf_counter() - start,
            weight_decay=found.weight_decay or 0.0,
            closed_form_mse=None if closed is None else evaluate(closed.model, test),
            chosen=found.chosen,
        )
    model = Standardize(plain, train.stats if better else tuple(train.stats)[:2])
    fits = {
        decay: fit(
            model,
            train,
            validation=validation,
            optimizer=partial(optax.adamw, weight_decay=decay) if decay else optax.adam,
            augment=run.network == "MLP+Aug",
            **settings,
        )
        for decay in decays
    }
    decay = min(fits, key=lambda decay: evaluate(fits[decay].best, validation))
    trained = fits[decay]
    return Row(
        **asdict(run),
        test_mse=evaluate(trained.best, test),
        equivariance_error=model_equivariance_error(trained.best, test),
        best_epoch=trained.best_epoch,
        epochs=epochs,
        seconds=time.perf_counter() - start,
        weight_decay=decay,
    )


def runs(
    tasks: list[str], networks: list[str], trainings: list[str], sizes: list[int], trials: int
) -> Iterator[Run]:
    """The requested runs; those that share a compilation are adjacent."""
    for task in tasks:
        for network in [*(f"EMLP-{name}" for name in GROUPS[task]), *BASELINES]:
            for training in trainings:
                if networks and not any(network.startswith(asked) for asked in networks):
                    continue
                if training == "polynomial" and network in BASELINES:
                    continue
                for size in sizes:
                    for trial in range(trials):
                        yield Run(task, network, training, size, trial)


def read(path: Path | None) -> list[Row]:
    """The rows of a file."""
    if path is None or not path.exists():
        return []
    return [Row(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def table(rows: list[Row]) -> str:
    """Mean test errors, a line a network and training, beside the published ones."""
    lines = [
        f"{'task':<20} {'network':<15} {'training':<10} " + "".join(f"{n:>10,}" for n in SIZES)
    ]
    for task, groups in GROUPS.items():
        others = (f"{least_published(task, n):>10.3g}" for n in SIZES)
        lines.append(f"{task:<20} {'all networks':<15} {'published':<10} " + "".join(others))
        for network in [*(f"EMLP-{name}" for name in groups), *BASELINES]:
            published = PUBLISHED[task].get(network)
            head = f"{task:<20} {network:<15} "
            if published:
                lines.append(
                    f"{head}{'published':<10} " + "".join(f"{v:>10.3g}" for v in published)
                )
            for training in TRAININGS:
                means = {n: mean(rows, task, network, training, n) for n in SIZES}
                if any(m is not None for m in means.values()):
                    cells = (
                        f"{m:>10.3g}" if m is not None else f"{'':>10}" for m in means.values()
                    )
                    lines.append(f"{head}{training:<10} " + "".join(cells))
    return "\n".join(lines)


def least_published(task: str, size: int) -> float:
    """The least published error at this size; 316 counts as 300, and 3,162 as 3,000."""
    found = []
    for figures in PUBLISHED[task].values():
        by_size = figures if isinstance(figures, dict) else dict(zip(SIZES, figures, strict=True))
        found += [
            e for n, e in by_size.items() if min(SIZES, key=lambda m: abs(m - int(n))) == size
        ]
    return float(min(found))


def mean(rows: list[Row], task: str, network: str, training: str, size: int) -> float | None:
    """The mean over the trials."""
    wanted = (task, network, training, size)
    found = [r.test_mse for r in rows if (r.task, r.network, r.training, r.size) == wanted]
    return float(np.mean(found)) if found else None


def plot(rows: list[Row], folder: Path) -> None:
    """A picture a task: test error against training-set size, ours and the published ones."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    for task, groups in GROUPS.items():
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.add_subplot()
        networks = [*(f"EMLP-{name}" for name in groups), *BASELINES]
        for number, network in enumerate(networks):
            colour = f"C{number}"
            if network in PUBLISHED[task]:
                axes.plot(SIZES, PUBLISHED[task][network], ":", color=colour, alpha=0.7)
            for training, style in zip(TRAININGS, ("--o", "-o", "-s"), strict=True):
                means = {n: mean(rows, task, network, training, n) for n in SIZES}
                points = {n: m for n, m in means.items() if m is not None}
                if points:
                    label = f"{network}, {training} training"
                    axes.plot([*points], [*points.values()], style, color=colour, label=label)
        axes.plot([], [], ":", color="grey", label="published (Finzi et al. 2021)")
        axes.set(
            xscale="log", yscale="log", xlabel="training points", ylabel="test MSE", title=task
        )
        axes.legend(fontsize="x-small")
        figure.savefig(folder / f"paper-{task.lower()}.png", dpi=120)


def short() -> list[Run]:
    """One size a task, one trial, EMLP and the plain network."""
    chosen = {
        "Inertia": "EMLP-SO(3)",
        "O5Synthetic": "EMLP-O(5)",
        "ParticleInteraction": "EMLP-SO+(1,3)",
    }
    return [
        Run(task, network, "better", SIZES[-1], 0)  # where seeds differ least
        for task, emlp in chosen.items()
        for network in (emlp, "MLP")
    ]


def failures(rows: list[Row]) -> list[str]:
    """Failed expectations: EMLP is below the published error, below MLP, and equivariant."""
    found = []
    by_task = {task: [r for r in rows if r.task == task] for task in DATA}
    for task, (ours, plain) in by_task.items():
        published = PUBLISHED[task][ours.network][SIZES.index(ours.size)]
        bound = 2e-6 if task == "ParticleInteraction" else 5e-7
        if not ours.test_mse <= published:
            found.append(f"{task}: test MSE {ours.test_mse:.3g}, published {published:.3g}")
        if not ours.test_mse < plain.test_mse:
            found.append(f"{task}: EMLP {ours.test_mse:.3g}, MLP {plain.test_mse:.3g}")
        if not ours.equivariance_error <= bound:
            found.append(f"{task}: equivariance error {ours.equivariance_error:.1e} > {bound:.0e}")
    return found


def main() -> None:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=[*DATA], default=[*DATA])
    parser.add_argument("--networks", nargs="+", default=[], metavar="PREFIX")
    parser.add_argument("--training", nargs="+", choices=TRAININGS, default=[*TRAININGS])
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--rows", type=Path, help="a file of JSON lines, to add to")
    parser.add_argument(
        "--short", action="store_true", help="three minutes; fails if EMLP is worse"
    )
    parser.add_argument("--table", action="store_true", help="only print the existing rows")
    parser.add_argument("--plot", type=Path, metavar="FOLDER", help="draw a picture for each task")
    arguments = parser.parse_args()
    rows = read(arguments.rows)
    wanted = (
        short()
        if arguments.short
        else list(
            runs(
                arguments.tasks,
                arguments.networks,
                arguments.training,
                arguments.sizes,
                arguments.trials,
            )
        )
    )
    done = {row.run for row in rows}
    for run in () if arguments.table else wanted:
        if run not in done:
            if run.trial == 0:  # programs compiled for other sizes would fill the memory
                jax.clear_caches()
            decays = DECAYS[run.training][: 1 if arguments.short else None]
            rows.append(row := measure(run, decays))
            print(json.dumps(asdict(row)), flush=True)
            if arguments.rows:
                arguments.rows.parent.mkdir(parents=True, exist_ok=True)
                with arguments.rows.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(row)) + "\n")
    print(table(rows))
    if arguments.plot:
        plot(rows, arguments.plot)
    if arguments.short and (bad := failures(rows)):
        raise SystemExit("\n".join(bad))


if __name__ == "__main__":
    main()
