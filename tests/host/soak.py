"""Run many mixed prompts of two clients on one server, interrupt some, and report results and memory.

python -m tests.host.soak --prompts 1000 --host 0.33.0 --seed 0 --report FILE.md
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from .comfy import Server, find_hosts, make_base, running
from .content import add_toy_faces, fill_base, write_models
from .faces import require_packages
from .soak_jobs import Job, first_jobs, random_jobs
from .soak_report import report

WARM_UP = 60
"""Prompts until allocators and the host's own caches are full."""
CLIENTS = 2


@dataclass
class Outcome:
    """What a soak saw.

    Attributes:
        ends: How many prompts ended in each way: "success", "interrupted", "error".
        asked: Number of prompts that a client interrupted, whether or not they were still running.
        digests: Job -> the hashes of its results.
        faults: Everything that must not happen, in words.
        series: Name of a measure -> its value after each prompt.
        alive: Objects that are alive before and after the prompts, when the host has been asked to free its memory.
        seconds: How long the prompts took.
    """

    ends: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    digests: dict[Job, list[str]] = field(default_factory=lambda: defaultdict(list))
    faults: list[str] = field(default_factory=list)
    series: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    alive: list[dict[str, int]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def unequal(self) -> list[Job]:
        """Jobs whose results differ."""
        return [job for job, digests in self.digests.items() if len(set(digests)) > 1]


class Soak:
    """The clients, and what they saw.

    Args:
        server: A server with the content of `fill_base` and `add_toy_faces`.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.outcome = Outcome()
        self._process = psutil.Process(server.pid)
        self._usual: dict[str, float] = {}  # seconds that an uninterrupted prompt of this kind took last
        self._lock = threading.Lock()

    def run(self, prompts: int, seed: int, *, warm_up: int = WARM_UP) -> Outcome:
        """Run prompts after a warm-up. Measures are of the prompts after it, faults and hashes of all."""
        jobs = random_jobs(prompts + warm_up, seed)
        self._run_clients([(job, None) for job in first_jobs()], clients=1)
        self._run_clients(jobs[:warm_up])
        self._count_alive()
        self.outcome.ends.clear()
        self.outcome.series.clear()
        self.outcome.asked = 0
        start = time.monotonic()
        self._run_clients(jobs[warm_up:])
        self.outcome.seconds = time.monotonic() - start
        self._count_alive()
        return self.outcome

    def _run_clients(self, jobs: Iterable[tuple[Job, float | None]], clients: int = CLIENTS) -> None:
        waiting = iter(list(jobs))
        threads = [threading.Thread(target=self._run_client, args=(waiting,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        queue = self.server.get("/queue")
        if queue["queue_running"] or queue["queue_pending"]:
            self.outcome.faults.append("a prompt is left in the queue")

    def _run_client(self, waiting: Iterable[tuple[Job, float | None]]) -> None:
        """Run prompts one after the other, while the other client does the same."""
        name = uuid.uuid4().hex
        while True:
            with self._lock:
                job, moment = next(iter(waiting), (None, None))
            if job is None:
                return
            try:
                self._run_job(name, job, moment)
            except Exception as error:  # a thread would end silently
                self._add_fault(f"{job}: {type(error).__name__}: {error}")

    def _run_job(self, client: str, job: Job, moment: float | None) -> None:
        server = self.server
        prompt_id = server.queue(job.api(), client)
        if moment is not None:
            self._interrupt(prompt_id, moment * self._usual.get(job.kind, 0.5))
        entry = server.wait(prompt_id)
        messages = dict(entry["status"]["messages"])
        if "execution_error" in messages:
            end = "error"
            self._add_fault(f"{job}: {messages['execution_error']['exception_message']}")
        elif "execution_interrupted" in messages:
            end = "interrupted"
            if moment is None:
                self._add_fault(f"{job}: interrupted, although nobody asked for it")
            if prompt_id in _ids(server.get("/queue")["queue_running"]):
                self._add_fault(f"{job}: runs on after the interrupt")
        else:
            end = "success"
            digest = job.digest(server, entry["outputs"])
            with self._lock:
                self.outcome.digests[job].append(digest)
                if moment is None:
                    self._usual[job.kind] = _seconds(messages)
        server.post("/history", {"delete": [prompt_id]})  # the host would keep every graph
        with self._lock:
            self.outcome.ends[end] += 1
            self.outcome.asked += moment is not None
            self._measure()

    def _interrupt(self, prompt_id: str, delay: float) -> None:
        """Interrupt a prompt some seconds after its start."""
        while prompt_id in _ids(self.server.get("/queue")["queue_pending"]):
            time.sleep(0.01)
        time.sleep(delay)
        self.server.post("/interrupt", {"prompt_id": prompt_id})

    def _measure(self) -> None:
        process = self._process
        with process.oneshot():
            files = process.num_handles() if sys.platform == "win32" else process.num_fds()
            values = {"MiB": process.memory_info().rss / 2**20, "files": files, "threads": process.num_threads()}
        for name, value in values.items():
            self.outcome.series[name].append(float(value))

    def _count_alive(self) -> None:
        self.server.free()
        counts = self.server.get("/refldm_probe?alive=1")
        self.outcome.alive.append({name: counts[name] for name in ("models", "vaes", "kv", "tensors")})

    def _add_fault(self, text: str) -> None:
        with self._lock:
            self.outcome.faults.append(text)


def _ids(prompts: Sequence[Any]) -> set[str]:
    return {prompt[1] for prompt in prompts}


def _seconds(messages: dict[str, Any]) -> float:
    """Return the time between a prompt's start and its end."""
    return (messages["execution_success"]["timestamp"] - messages["execution_start"]["timestamp"]) / 1000.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=1000, help="number of prompts after the warm-up")
    parser.add_argument("--host", required=True, help="end of the name of ComfyUI's folder, such as 0.33.0")
    parser.add_argument("--seed", type=int, default=0, help="seed of the order of prompts, and of the interrupts")
    parser.add_argument("--report", type=Path, required=True, help="file to write")
    args = parser.parse_args()
    host = next((host for host in find_hosts() if host.name.endswith(args.host)), None)
    if host is None:
        parser.error(f"there is no ComfyUI {args.host}: see CONTRIBUTING.md")
    require_packages(host)
    with tempfile.TemporaryDirectory() as folder:
        base, models = make_base(Path(folder) / "base"), Path(folder) / "models"
        write_models(models)
        fill_base(base, models)
        add_toy_faces(base)
        with running(host, base, "--preview-method", "latent2rgb") as server:
            server.probe()  # the first call starts the counting
            stats = server.get("/system_stats")["system"]
            outcome = Soak(server).run(args.prompts, args.seed)
    args.report.write_text(report(outcome, stats, prompts=args.prompts, seed=args.seed), encoding="utf-8")
    return 1 if outcome.faults or outcome.unequal else 0


if __name__ == "__main__":
    sys.exit(main())
