"""Several processes on one batch: each takes its share, and `DistributedDataParallel` averages the gradients.

Started by `torchrun --nproc-per-node N -m sgdsheet train …`. All processes draw the same batches, so together they do
what one would do alone. See Li and others, “PyTorch distributed: experiences on accelerating data parallel training”,
Proceedings of the VLDB Endowment 13 (2020).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sgdsheet.system import processes

Loss = Callable[[Tensor], Callable[[], Tensor]]


class _Replica(nn.Module):
    """The parameters of one process, and what it calculates with them."""

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        super().__init__()
        self.parameters_of_sheet = nn.ParameterList(parameters)

    def forward(self, loss: Callable[[], Tensor]) -> Tensor:
        return loss()


@dataclass(slots=True)
class Share:
    """The share of each batch that this process calculates: every `processes`-th sample, from number `rank` on."""

    rank: int
    processes: int
    replica: DistributedDataParallel

    @classmethod
    def join(cls, device: torch.device, parameters: Iterable[nn.Parameter]) -> Share | None:
        """Join the other processes, so that gradients are averaged over all; None if torchrun started none."""
        if processes.count() < 2:
            return None
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        replica = DistributedDataParallel(_Replica(parameters))
        return cls(dist.get_rank(), dist.get_world_size(), replica)

    def of(self, loss: Loss, indices: Tensor) -> Callable[[], Tensor]:
        """A function that calculates the loss over a batch, given by its indices [batch].

        This process calculates its share of the samples. The result has the value of the whole batch's loss and the
        gradient of the share's part of it.
        """
        own = indices[self.rank :: self.processes]
        weight = len(own) * self.processes / len(indices)
        share = loss(own if len(own) else indices[:1])

        def calculate() -> Tensor:
            value: Tensor = self.replica(share) * weight
            whole = value.detach().clone()
            dist.all_reduce(whole)
            return whole / self.processes + (value - value.detach())

        return calculate


def average_of(total: Tensor | None, count: int) -> list[float]:
    """The averages of all processes together, where this one has a total [n] over so many samples.

    None stands for that of a process that has no samples.
    """
    if dist.is_initialized():
        lengths = torch.tensor([0 if total is None else len(total), count])
        dist.all_reduce(lengths[:1], dist.ReduceOp.MAX)
        dist.all_reduce(lengths[1:])
        total = torch.zeros(int(lengths[0]), dtype=torch.float64) if total is None else total
        dist.all_reduce(total)
        count = int(lengths[1])
    assert total is not None
    found: list[float] = (total / count).tolist()
    return found


def all_of(values: Tensor) -> Tensor:
    """The numbers [n] of each process, [processes, n]."""
    if not dist.is_initialized():
        return values[None]
    found = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(found, values)
    return torch.stack(found)


def leave() -> None:
    """Leave the group of processes; nothing happens where there is none."""
    if dist.is_initialized():
        dist.destroy_process_group()
