"""Two processes, each with half of a batch, have the gradients of one process with all of it.

The last block of this network has a weight that does not affect the output, as many networks have.
DistributedDataParallel waits for its gradient, unless `static_graph` tells it to see for itself.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.program import environment
from intertwine.groups import SO
from intertwine.reps import V

torch = pytest.importorskip("torch")
modules = pytest.importorskip("intertwine.torch")

#: A process, which begins with weights of its own and gets those of the first.
MEMBER = """
import sys
from datetime import timedelta

import torch
from intertwine.groups import SO
from intertwine.reps import V
from intertwine.torch import EMLP
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

folder, rank = sys.argv[1], int(sys.argv[2])
distributed.init_process_group(
    "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2,
    timeout=timedelta(seconds=120),
)
x, y = torch.load(f"{folder}/data.pt", weights_only=True)
network = EMLP(V + V**2, V, SO(3), ch=32, num_layers=2, key=rank, dtype=torch.float64)
model = DistributedDataParallel(network, static_graph=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(2):
    optimizer.zero_grad()
    (model(x[rank::2]) - y[rank::2]).square().mean().backward()
    optimizer.step()
gradients = {name: weight.grad for name, weight in network.named_parameters()}
torch.save({"weights": network.state_dict(), "gradients": gradients}, f"{folder}/{rank}.pt")
distributed.destroy_process_group()
"""


def alone(x: Any, y: Any) -> Any:
    """The network of one process."""
    network = modules.EMLP(V + V**2, V, SO(3), ch=32, num_layers=2, dtype=torch.float64)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        (network(x) - y).square().mean().backward()
        optimizer.step()
    return network


def test_gradients_are_those_of_one_process(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(8, 12, generator=draw, dtype=torch.float64)
    y = x[:, :3] * x[:, 3:4]
    torch.save((x, y), tmp_path / "data.pt")
    members = [
        subprocess.Popen(
            [sys.executable, "-c", MEMBER, tmp_path, str(rank)],
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [member.communicate(timeout=180)[1] for member in members]
    assert [member.returncode for member in members] == [0, 0], errors
    wanted = alone(x, y)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found["weights"].keys() == wanted.state_dict().keys()
        require_close(found["weights"], wanted.state_dict())
        require_close(
            found["gradients"],
            {name: w.grad for name, w in wanted.named_parameters() if w.grad is not None},
        )
    assert any(w.grad is None and w.numel() for w in wanted.parameters())


def require_close(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name, values in wanted.items():
        assert torch.allclose(found[name], values, rtol=0, atol=1e-12), name
