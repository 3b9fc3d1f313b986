"""The batches of a run: the examples of each process at each step, and the workers that prepare them."""

# torch and accelerate are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from torch.utils.data import DataLoader

from .spec import TrainSpec
from .task import Batch, Examples, TrainingError, derive

START_METHOD = "spawn"
"""How workers start, on every platform. A forked worker would inherit the locks and the CUDA context of the training
process, and Windows cannot fork."""


@dataclass(frozen=True)
class Share:
    """The items of each global batch that belong to this process.

    Item i belongs to process i mod `processes`, so that the batch of a step is the same for any number of processes.

    Args:
        batch: number of items in the global batch.
        rank: index of this process.
        processes: number of processes.
        accumulate: number of micro-batches in a step.

    Raises:
        TrainingError: the batch cannot be divided evenly.
    """

    batch: int
    rank: int = 0
    processes: int = 1
    accumulate: int = 1

    def __post_init__(self) -> None:
        if self.batch < 1 or self.batch % (self.processes * self.accumulate):
            raise TrainingError(
                f"A batch of {self.batch} cannot be shared out to {self.processes} processes in {self.accumulate} "
                "micro-batches each.",
                expected=f"a multiple of {self.processes * self.accumulate}",
                remedy="change run.batch or run.accumulate",
            )

    @property
    def micro_batch(self) -> int:
        """Number of items in a micro-batch of this process."""
        return self.batch // (self.processes * self.accumulate)


class SeedBatches:
    """The seeds of this process's examples, one micro-batch after the other.

    Args:
        spec: config of the run.
        share: share of this process.
        first: step to begin with.
    """

    def __init__(self, spec: TrainSpec, share: Share, first: int) -> None:
        self.spec, self.share, self.first = spec, share, first

    def __iter__(self) -> Iterator[list[int]]:
        share = self.share
        for step in range(self.first, self.spec.run.steps):
            seeds = [derive(self.spec.seed, 1, step, i) for i in range(share.rank, share.batch, share.processes)]
            for start in range(0, len(seeds), share.micro_batch):
                yield seeds[start : start + share.micro_batch]

    def __len__(self) -> int:
        return (self.spec.run.steps - self.first) * self.share.accumulate


def steps_of_batches(
    spec: TrainSpec, examples: Examples, share: Share, first: int, *, pin_memory: bool = False
) -> Iterator[Sequence[Batch]]:
    """Yield the micro-batches of each step, on the CPU.

    Args:
        spec: config of the run; `run.workers` processes prepare the batches.
        examples: the examples; each worker gets a pickled copy.
        share: share of this process.
        first: step to begin with.
        pin_memory: whether to put the batches into pinned memory, for a GPU.
    """
    workers = spec.run.workers
    loader = DataLoader(
        examples,
        batch_sampler=SeedBatches(spec, share, first),
        collate_fn=examples.collate,
        num_workers=workers,
        multiprocessing_context=START_METHOD if workers else None,
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
    )
    batches = iter(loader)
    while step := list(islice(batches, share.accumulate)):
        yield step
