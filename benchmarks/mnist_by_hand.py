"""The networks of the MNIST workbooks as one would write them in PyTorch, without a sheet.

Each is made from the sheet's start values, so that both begin with the same numbers.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

FILES = {"train": "train", "test": "t10k"}


class Part(NamedTuple):
    """Bytes [N, 28, 28], and labels [N]."""

    images: Tensor
    labels: Tensor


def read(folder: Path, part: str, digits: Sequence[int] = range(10), *, by_name: bool = False) -> Part:
    """One part of MNIST. `by_name`: digit by digit, each sorted as text by its file's name."""

    def content(kind: str, header: int) -> np.ndarray:
        path = folder / f"{FILES[part]}-{kind}-ubyte.gz"
        return np.frombuffer(bytearray(gzip.decompress(path.read_bytes())), np.uint8, offset=header)

    images, labels = content("images-idx3", 16).reshape(-1, 28, 28), content("labels-idx1", 8)
    order = np.flatnonzero(np.isin(labels, digits))
    if by_name:
        order = np.array(sorted(order.tolist(), key=lambda index: (labels[index], f"{index}.png")))
    if len(order) == len(labels):
        return Part(torch.from_numpy(images), torch.from_numpy(labels))
    return Part(torch.from_numpy(images[order]), torch.from_numpy(labels[order]))


class ByHand(nn.Module):
    """A network: what its subclass adds is `forward`, from bytes [N, 28, 28] to sums."""

    def __init__(self, start: Sequence[Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(values.detach().clone().contiguous()) for values in start])

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self(images), labels.long())

    def right(self, images: Tensor, labels: Tensor) -> Tensor:
        return self(images).argmax(1) == labels


class Dense(ByHand):
    """784-30-10."""

    def forward(self, images: Tensor) -> Tensor:
        w1, b1, w2, b2 = self.weights
        return torch.relu(images.flatten(1).float().div(255) @ w1 + b1) @ w2 + b2


class ThreeOrSeven(ByHand):
    """784-1 or 784-30-1: whether it is a three."""

    def forward(self, images: Tensor) -> Tensor:
        values, weights = images.flatten(1).float().div(255), list(self.weights)
        if len(weights) > 2:
            values = torch.relu(values @ weights.pop(0) + weights.pop(0))
        return values @ weights[0] + weights[1]

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        chance = self(images).sigmoid()
        return torch.where(labels == 3, 1 - chance, chance).mean()

    def right(self, images: Tensor, labels: Tensor) -> Tensor:
        return (self(images) > 0) == (labels == 3)


class Convolutional(ByHand):
    """Two layers of 5×5 kernels with pooling, and ten sums."""

    def __init__(self, start: Sequence[Tensor]) -> None:
        k1, b1, k2, b2, w, b = start
        first = k1.reshape(5, 8, 5).permute(1, 0, 2)[:, None]
        second = k2.reshape(16, 5, 8, 5).permute(0, 2, 1, 3)
        dense = w.reshape(10, 4, 16, 4).permute(0, 2, 1, 3).reshape(10, -1)
        super().__init__([first, b1, second, b2, dense, b])

    def forward(self, images: Tensor) -> Tensor:
        k1, b1, k2, b2, w, b = self.weights
        maps = F.max_pool2d(torch.relu(F.conv2d(images[:, None].float().div(255), k1, b1)), 2)
        maps = F.max_pool2d(torch.relu(F.conv2d(maps, k2, b2)), 2)
        return F.linear(maps.flatten(1), w, b)


NETWORKS: dict[str, type[ByHand]] = {
    "linear": ThreeOrSeven,
    "net": ThreeOrSeven,
    "mnist": Dense,
    "cnn": Convolutional,
}


class Recipe(NamedTuple):
    """How to train: what the sheet's settings say."""

    optimizer: Callable[..., torch.optim.Optimizer]
    options: dict[str, float]
    schedule: str
    batch_size: int
    epochs: int
    seed: int
    shuffle: bool


class Trainer:
    """The usual loop, one epoch at a time."""

    def __init__(self, network: ByHand, part: Part, recipe: Recipe) -> None:
        self.network, self.part, self.recipe = network, part, recipe
        self.optimizer = recipe.optimizer(network.parameters(), **recipe.options)
        steps = -(-len(part.labels) // recipe.batch_size) * recipe.epochs
        self.scheduler: torch.optim.lr_scheduler.LRScheduler | None = None
        if recipe.schedule == "cosine":
            self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=steps)
        if recipe.schedule == "onecycle":
            rate = recipe.options["lr"]
            self.scheduler = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, max_lr=rate, total_steps=steps + 1)
        self.generator = torch.Generator().manual_seed(recipe.seed)

    def epoch(self) -> list[float]:
        """All batches once; the loss of each."""
        count, losses = len(self.part.labels), []
        order = torch.randperm(count, generator=self.generator) if self.recipe.shuffle else torch.arange(count)
        for batch in order.split(self.recipe.batch_size):
            self.optimizer.zero_grad()
            loss = self.network.loss(self.part.images[batch], self.part.labels[batch])
            loss.backward()
            self.optimizer.step()
            if self.scheduler is not None:
                self.scheduler.step()
            losses.append(loss.item())
        return losses


def accuracy(network: ByHand, part: Part) -> float:
    """The share that is right."""
    with torch.no_grad():
        batches = zip(part.images.split(2000), part.labels.split(2000), strict=True)
        return sum(int(network.right(*batch).sum()) for batch in batches) / len(part.labels)


def valid_loss(network: ByHand, part: Part) -> float:
    with torch.no_grad():
        return network.loss(*part).item()
