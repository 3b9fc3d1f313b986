"""The training loop: steps, gradient accumulation, averages, states and logs, on the devices of accelerate."""

# torch and accelerate are typed in part only.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator  # pyright: ignore[reportMissingTypeStubs]
from accelerate.utils import (  # pyright: ignore[reportMissingTypeStubs]
    DistributedDataParallelKwargs,
    set_seed,
)
from torch import Tensor, nn

from ..files import atomic_write, make_folder, output_error
from ..images import save_image
from ..out_of_memory import is_out_of_memory
from .config_file import as_yaml
from .ema import MovingAverage
from .loader import Share, steps_of_batches
from .run_files import CONFIG, LOG, STATE, RunState, require_same_config, truncate_log
from .spec import OptimizerSpec, TrainSpec
from .task import Batch, Part, Task, TrainingError, derive


@dataclass(frozen=True)
class Progress:
    """Report to the caller after a step: steps done, steps in all, and the loss of the step."""

    step: int
    steps: int
    loss: float


@dataclass(frozen=True)
class TrainingResult:
    """The result of a run.

    Attributes:
        folder: folder of the run.
        step: steps done.
        loss: loss of the last step; NaN where there was no step to do.
        files: model files of the last step.
    """

    folder: Path
    step: int
    loss: float
    files: tuple[Path, ...]


def train(spec: TrainSpec, make_task: Callable[[], Task], on_step: Callable[[Progress], None]) -> TrainingResult:
    """Train a model, or continue the run whose state is in the folder.

    A continued run gives the same result as an uninterrupted one. A script that calls this function with `run.workers`
    needs `if __name__ == "__main__":`, because each worker imports the script again.

    Args:
        spec: config of the run.
        make_task: makes the task, on the CPU.
        on_step: called by the main process after each step.

    Raises:
        TrainingError: the batch cannot be divided evenly, the state belongs to another config, or a loss is not finite.
        OutputError: the folder cannot be written to. The last state then stays as it was.
    """
    run = spec.run
    precision = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}[run.precision]
    accelerator = Accelerator(
        mixed_precision=precision,
        cpu=run.cpu,
        log_with="tensorboard",
        project_dir=spec.output,
        # The codebook has no gradient before the step from which it is used.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=spec.task == "first_stage")],
    )
    share = Share(run.batch, accelerator.process_index, accelerator.num_processes, run.accumulate)
    set_seed(derive(spec.seed, 0) % 2**32)  # every process gets the same new weights
    trainer = _Trainer(spec, make_task(), accelerator)
    with _output_errors(Path(spec.output)):
        first = trainer.start()
        on_gpu = accelerator.device.type == "cuda"
        batches = steps_of_batches(spec, trainer.task.examples, share, first, pin_memory=on_gpu)
        done = trainer.run(first, batches, on_step)
    accelerator.end_training()
    return done


class _Trainer:
    """Runs the steps of one process, and writes the files of the run in the main process."""

    def __init__(self, spec: TrainSpec, task: Task, accelerator: Accelerator) -> None:
        self.spec = spec
        self.task = task
        self.accelerator = accelerator
        self.folder = Path(spec.output)
        task.frozen.to(accelerator.device).eval()
        for part in task.parts:
            part.to(accelerator.device)
        self.averages = {
            part.name: MovingAverage(part, spec.run.ema, warmup=spec.run.ema_warmup) for part in task.parts
        }
        self.optimizers = [_optimizer(part, spec.optimizer) for part in task.parts]
        self.wrapped: list[Part] = [cast(Part, accelerator.prepare(part)) for part in task.parts]
        self.scaled = [accelerator.prepare(optimizer) for optimizer in self.optimizers]
        self.state = RunState(task.parts, self.optimizers, self.averages, accelerator.scaler)

    def start(self) -> int:
        """Load the state, if there is one, and write the config.

        Returns:
            The first step to do.
        """
        state, config = self.folder / STATE, self.folder / CONFIG
        effective = as_yaml(self.spec)
        first = 0
        if state.exists():
            require_same_config(config, self.spec)
            first = self.state.load(state)
        elif self.accelerator.is_main_process:
            make_folder(self.folder)
        if self.accelerator.is_main_process:
            with atomic_write(config) as temporary:
                temporary.write_text(effective, encoding="utf-8")
            truncate_log(self.folder / LOG, first)
        self.accelerator.init_trackers("tensorboard")
        self.accelerator.wait_for_everyone()
        return first

    def run(
        self, first: int, batches: Iterator[Sequence[Batch]], on_step: Callable[[Progress], None]
    ) -> TrainingResult:
        steps, loss = self.spec.run.steps, float("nan")
        files: tuple[Path, ...] = ()
        for step in range(first, steps):
            logs = self._step(step, [_to_device(batch, self.accelerator.device) for batch in next(batches)])
            loss = sum(value for name, value in logs.items() if name.endswith("/loss"))
            done = step + 1
            is_last = done == steps
            if self.accelerator.is_main_process:
                self._log(done, logs)
                if self.spec.run.sample_every and (done % self.spec.run.sample_every == 0 or is_last):
                    self._sample(done)
                on_step(Progress(done, steps, loss))
            if done % self.spec.run.save_every == 0 or is_last:
                files = self._save(done)
        if first >= steps:
            files = self._save(first)
        return TrainingResult(self.folder, max(first, steps), loss, files)

    def _step(self, step: int, batches: Sequence[Batch]) -> dict[str, float]:
        # Random numbers that a module draws itself then also depend only on the step.
        torch.manual_seed(derive(self.spec.seed, step, self.accelerator.process_index))
        rate = _learning_rate(self.spec.optimizer, step, self.spec.run.steps)
        self.task.before_step(step, batches)
        sums: dict[str, Tensor] = {}
        for i, batch in enumerate(batches):
            for part, wrapped in zip(self.task.parts, self.wrapped, strict=True):
                with _synchronized(self.accelerator, wrapped, i == len(batches) - 1):
                    with self.accelerator.autocast():
                        loss, logs = wrapped(batch, step)
                    self.accelerator.backward(loss / len(batches))
                for name, value in {"loss": loss, **logs}.items():
                    key = f"{part.name}/{name}"
                    sums[key] = sums.get(key, torch.zeros_like(loss)) + value.detach().float() / len(batches)
        values = self._mean_over_processes(sums)
        self._require_finite(values, step)
        for optimizer, part in zip(self.scaled, self.wrapped, strict=True):
            if self.spec.optimizer.clip:
                self.accelerator.clip_grad_norm_(part.parameters(), self.spec.optimizer.clip)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()
        if self.spec.run.ema:
            for part in self.task.parts:
                self.averages[part.name].update(part)
        return {**values, "learning_rate": rate}

    def _mean_over_processes(self, sums: Mapping[str, Tensor]) -> dict[str, float]:
        """Return the means over the processes."""
        stacked = cast(Tensor, self.accelerator.reduce(torch.stack(list(sums.values())), reduction="mean"))
        return dict(zip(sums, stacked.tolist(), strict=True))

    def _require_finite(self, values: Mapping[str, float], step: int) -> None:
        invalid = [name for name, value in values.items() if name.endswith("/loss") and not abs(value) < float("inf")]
        if invalid:
            saved = self.folder / STATE
            raise TrainingError(
                f"The loss {invalid[0].removesuffix('/loss')} is {values[invalid[0]]} in step {step + 1}.",
                expected="a finite number",
                remedy="lower optimizer.learning_rate, raise optimizer.warmup or set run.precision: float32, and run "
                f"the command again{', into another folder: this one keeps its last state' if saved.exists() else ''}",
            )

    def _averaged_weights(self) -> dict[str, Mapping[str, Tensor]]:
        if self.spec.run.ema:
            return {name: average.weights for name, average in self.averages.items()}
        return {part.name: part.state_dict() for part in self.task.parts}

    def _save(self, step: int) -> tuple[Path, ...]:
        files: tuple[Path, ...] = ()
        if self.accelerator.is_main_process:
            self.state.save(self.folder / STATE, step)
            files = tuple(self.task.export(self.folder, step, self._averaged_weights()))
        self.accelerator.wait_for_everyone()
        return files

    def _log(self, step: int, logs: Mapping[str, float]) -> None:
        self.accelerator.log(dict(logs), step=step)
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(
                json.dumps({"step": step, **{name: float(f"{value:.6g}") for name, value in logs.items()}}) + "\n"
            )

    def _sample(self, step: int) -> None:
        picture = self.task.sample(self._averaged_weights())
        if picture is not None:
            make_folder(self.folder / "samples")
            save_image(picture, self.folder / "samples" / f"{step:07d}.png")
            tracker = cast(Any, self.accelerator.get_tracker("tensorboard"))
            tracker.log_images({"samples": np.asarray(picture)[None]}, step=step, dataformats="NHWC")


def _optimizer(part: Part, spec: OptimizerSpec) -> torch.optim.Optimizer:
    trained = [parameter for parameter in part.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(trained, lr=spec.learning_rate, betas=spec.betas, weight_decay=spec.weight_decay)


def _learning_rate(spec: OptimizerSpec, step: int, steps: int) -> float:
    """Return the learning rate of a step: a linear warm-up, then constant or a cosine down to the final share."""
    warm = min(1.0, (step + 1) / max(1, spec.warmup))
    if spec.decay == "constant":
        return spec.learning_rate * warm
    progress = min(1.0, max(0.0, (step - spec.warmup) / max(1, steps - spec.warmup)))
    cosine = 0.5 * (1.0 + torch.cos(torch.tensor(progress * torch.pi)).item())
    return spec.learning_rate * warm * (spec.final + (1.0 - spec.final) * cosine)


def _synchronized(accelerator: Accelerator, module: nn.Module, is_last: bool) -> AbstractContextManager[Any]:
    """Let the processes exchange gradients only with the last micro-batch of a step."""
    return nullcontext() if is_last else accelerator.no_sync(module)


@contextmanager
def _output_errors(folder: Path) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        if is_out_of_memory(error):
            raise
        raise output_error(folder, error) from error


def _to_device(batch: Batch, device: torch.device) -> Batch:
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }
