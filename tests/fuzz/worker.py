"""The process in which readers run, so that a crash, a hang or a full memory ends only this process."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import io
import os
import sys
import time
import traceback
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import torch

from refldm_core.errors import ReFLDMError

from .cases import ACCEPTED, REFUSED, TRACEBACK, WRONG, Action, Case, Verdict, WrongResultError
from .readers import READERS

_IMPORTED_LATE = ("accelerate", "jinja2", "matplotlib.figure", "onnxruntime", "scipy.stats", "torchmetrics")
"""What the commands import when they need it. That time would count as the time of a case."""
_CLEAR_REFS, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def serve(connection: Connection, log: Path) -> None:
    """Judge cases until None is received.

    For each case the connection gives ("ready", memory in use, size of the input) and then ("done", verdict), or
    ("broken", text) where the input could not be made.
    """
    _redirect_output(log)
    torch.set_num_threads(1)
    for module in _IMPORTED_LATE:
        with contextlib.suppress(ImportError):
            import_module(module)
    gc.freeze()  # a full collection would visit everything that the readers import
    while (case := connection.recv()) is not None:
        try:
            action = READERS[case.reader].prepare(case)
        except BaseException:
            connection.send(("broken", traceback.format_exc()))
            continue
        gc.collect(1)
        _reset_peak()
        used = psutil.Process().memory_info().rss
        size = input_bytes(case.folder)
        connection.send(("ready", used, size))
        verdict = judge(action)
        growth = max(0, _peak() - used)
        connection.send(("done", verdict._replace(growth=growth, input_bytes=size)))


def judge(action: Action) -> Verdict:
    """Run the action of a case, and return the verdict on it."""
    start = time.perf_counter()
    quiet = io.StringIO()
    try:
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            action()
        kind, detail = ACCEPTED, ""
    except ReFLDMError as error:
        complete = bool(error.problem.strip() and error.expected.strip() and error.remedy.strip())
        kind, detail = (REFUSED, str(error)) if complete else (WRONG, f"an error without an explanation: {error!r}")
        if len(detail) > 5000:
            kind, detail = WRONG, f"an error of {len(detail)} characters: {detail[:300]}"
    except WrongResultError as error:
        kind, detail = WRONG, f"{error}\n{_where(error)}"
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        kind, detail = TRACEBACK, "".join(traceback.format_exception(error))[-3000:]
    return Verdict(kind, detail, time.perf_counter() - start)


def input_bytes(folder: Path) -> int:
    """Return the size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _where(error: BaseException) -> str:
    return "\n".join(f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-3:])


def _redirect_output(log: Path) -> None:
    """Write everything that libraries print into the log, which tells what happened before a crash."""
    number = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(number, 1)
    os.dup2(number, 2)
    faulthandler.enable(sys.__stderr__ or sys.stderr)


def _reset_peak() -> None:
    """Forget the largest memory so far, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        _CLEAR_REFS.write_text("5", encoding="ascii")


def _peak() -> int:
    """Return the largest memory since `_reset_peak`, or the memory in use where the system does not tell the former."""
    with contextlib.suppress(OSError, StopIteration):
        line = next(line for line in _STATUS.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return psutil.Process().memory_info().rss


__all__ = ["Case", "input_bytes", "judge", "serve"]
