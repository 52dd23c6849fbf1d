"""What the emulator's Glue asks of whoever really runs jobs, crawls and workflows, as typed protocols.

`local.glue.service.GlueHost` has this shape. The emulator keeps the records that `GetJobRun`, `GetCrawler`
and `GetWorkflowRun` answer from; the host does the work and reports it back. Every call returns at once,
since it is made on the thread that answers the API request; the callbacks come from threads of the host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol


class JobEnd(Protocol):
    """`state` is an end of `JobRunState`: SUCCEEDED, FAILED, TIMEOUT or STOPPED."""

    @property
    def state(self) -> str: ...
    @property
    def error_message(self) -> str: ...


class CrawlEnd(Protocol):
    """`status` is `LastCrawl.Status`: SUCCEEDED or FAILED. `crawled_with` is what the crawler was, which is
    kept where it succeeded: a crawler in event mode lists everything once it is another."""

    @property
    def status(self) -> str: ...
    @property
    def crawled_with(self) -> str: ...
    @property
    def error_message(self) -> str: ...
    @property
    def log_stream(self) -> str: ...
    @property
    def tables_updated(self) -> int: ...


class WorkflowState(Protocol):
    """A workflow run as it stands: `graph` and `statistics` in the shapes of `GetWorkflowRun`."""

    @property
    def status(self) -> str: ...
    @property
    def statistics(self) -> Mapping[str, int]: ...
    @property
    def graph(self) -> Mapping[str, Any]: ...
    @property
    def error_message(self) -> str: ...
    @property
    def ended(self) -> bool: ...


class GlueHost(Protocol):
    """The doing behind `StartJobRun`, `StartCrawler` and `StartWorkflowRun`."""

    def start_job_run(
        self,
        job: Mapping[str, Any],
        run_id: str,
        arguments: Mapping[str, str],
        on_start: Callable[[], None],
        on_end: Callable[[JobEnd], None],
    ) -> None:
        """Run the script of `job` (as `GetJob` shows it); `arguments` are those of `StartJobRun`."""

    def stop_job_run(self, run_id: str) -> bool:
        """Whether such a run was going; its end comes as STOPPED."""

    def start_crawler(self, crawler: Mapping[str, Any], on_end: Callable[[CrawlEnd], None]) -> None:
        """Crawl the targets of `crawler` (as `GetCrawler` shows it) into its database."""

    def start_workflow_run(
        self,
        workflow: Mapping[str, Any],
        run_id: str,
        properties: Mapping[str, str],
        on_change: Callable[[WorkflowState], None],
        resumed: tuple[Mapping[str, Any], Sequence[str]] | None = None,
    ) -> None:
        """Walk the triggers of `workflow`, reporting every change and the end; from its start trigger, or
        `resumed`: the graph of an earlier run, and the ids of its nodes to go on from."""

    def stop_workflow_run(self, run_id: str) -> bool:
        """Whether such a run was going; its end comes as STOPPED."""

    def warm_up(self) -> None:
        """Make ready for the first job, which is soon to come."""

    def close(self) -> None:
        """Stop what runs, and every child process."""
