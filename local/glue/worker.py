"""The Spark worker: one warm session in a process of its own, which runs one job after another.

``python -m local.glue.worker`` reads JSON lines from its standard input and answers each with one on its
standard output: first the Spark settings, answered by ``ready``; then one run each, answered by its outcome.
It ends when its input ends, so that no worker outlives the emulator, however that died.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from local.glue.rehearsal import rehearse
from local.spark import start_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_OURS = ("glue_jobs", "schemas")
_MAX_MESSAGE = 500


def main() -> None:
    answers = _claim_stdout()
    _log_as_json()
    waiting = _read_requests()
    settings: dict[str, str] = waiting.get()["settings"]
    spark = start_spark(settings)
    jvm = spark._jvm.java.lang.ProcessHandle.current().pid()  # type: ignore[union-attr]
    _answer(answers, {"ready": True, "jvm_pid": int(jvm)})
    rehearse(spark, Path(settings["spark.local.dir"]), lambda: not waiting.empty())
    while True:
        request = waiting.get()
        for key, value in request["conf"].items():
            # What this machine needs otherwise, such as fewer partitions, stays.
            if key not in settings and spark.conf.isModifiable(key):
                spark.conf.set(key, value)
        _answer(answers, run_job(request["module"], request["argv"], Path(request["log"])))
        spark = _forget_the_run(spark, settings)


def _claim_stdout() -> IO[str]:
    """A private copy of standard output for the answers; whatever a job or Java prints goes to the log."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _read_requests() -> queue.SimpleQueue[dict[str, Any]]:
    """Requests as they come. A thread reads, so that the end of the input ends a worker at work too."""
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            waiting.put(json.loads(line))
        # Java sees the end of its own input, which is this process, and follows.
        os._exit(0)

    threading.Thread(target=read, name="requests", daemon=True).start()
    return waiting


def _answer(answers: IO[str], answer: Mapping[str, object]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def run_job(module: str, argv: Sequence[str], log: Path) -> dict[str, object]:
    """Run ``main(argv)`` of a job's module; what it prints, and its traceback, go to ``log``."""
    started = time.monotonic()
    state, error = "SUCCEEDED", ""
    with _output_to(log):
        try:
            importlib.import_module(module).main(list(argv))
        except SystemExit as end:
            if end.code not in (None, 0):
                state, error = "FAILED", f"The job exited with {end.code}"
        except BaseException as failure:
            traceback.print_exc()
            state, error = "FAILED", error_message(failure, log)
    return {"state": state, "error": error, "seconds": round(time.monotonic() - started, 3)}


def error_message(failure: BaseException, log: Path) -> str:
    """One line for whoever looks at the run.

    The text of our own errors, which never hold a patient's data, and of Spark's on names and syntax. Any
    other error may quote a value, so that it is named only, with the place in our code that it came through.
    """
    kind = type(failure)
    first_line = next(iter(str(failure).strip().splitlines()), "")[:_MAX_MESSAGE]
    is_ours = kind.__module__.split(".")[0] in _OURS
    if first_line and (is_ours or kind.__name__ in ("AnalysisException", "ParseException")):
        return f"{kind.__name__}: {first_line}"
    frames = [
        frame
        for frame in traceback.extract_tb(failure.__traceback__)
        if f"{os.sep}glue_jobs{os.sep}" in frame.filename or f"{os.sep}schemas{os.sep}" in frame.filename
    ]
    place = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"{kind.__name__}{place}; the log {log} has the details"


@contextmanager
def _output_to(log: Path) -> Iterator[None]:
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = [os.dup(1), os.dup(2)]
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, number in zip(kept, (1, 2), strict=True):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _forget_the_run(spark: SparkSession, settings: Mapping[str, str]) -> SparkSession:
    """Leave nothing of a run to the next: on Glue each has a process of its own."""
    for name in [name for name in sys.modules if name.split(".")[0] in _OURS]:
        del sys.modules[name]
    if spark.sparkContext._jsc is None or spark.sparkContext._jsc.sc().isStopped():
        return start_spark(settings)
    spark.sql("RESET")
    spark.catalog.clearCache()
    for table in spark.catalog.listTables():
        if table.isTemporary:
            spark.catalog.dropTempView(table.name)
    return spark


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _log_as_json() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("py4j").setLevel(logging.WARNING)


if __name__ == "__main__":
    main()
