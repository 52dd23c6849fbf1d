"""What ran when the emulator stopped has ended when it starts again.

The emulator saves its records on a stop and reads them on a start. A run that was going is then recorded as
going for ever, though nothing runs it: it would hold its workflow's only place, and whoever waits for it
would not end.
"""

from __future__ import annotations

from typing import Any

from local.emulator.patches import glue_crawler, glue_job_run, glue_workflow_run

_WHY = "The emulator was stopped while this was running"


def end_unfinished(state: dict[str, Any]) -> None:
    """Bring every run of a saved state that was going to an end."""
    for runs in _values(state, "job_runs"):
        for run in runs:
            if run["JobRunState"] not in glue_job_run.ENDED:
                glue_job_run.finish(run, "STOPPED", _WHY)
    for crawler in _values(state, "crawlers"):
        if crawler["State"] != "READY":
            started = float((crawler.get("LastCrawl") or {}).get("StartTime") or crawler["LastUpdated"])
            glue_crawler.finish(crawler, started, "CANCELLED", _WHY, "")
    for runs in _values(state, "workflow_runs"):
        for run in runs:
            if run["Status"] not in glue_workflow_run.ENDED:
                glue_workflow_run.finish(run, "STOPPED", _WHY)


def _values(state: dict[str, Any], store: str) -> list[Any]:
    saved = state.get(store, {})
    # A store by account and region keeps every scope here; iterating it shows one scope only.
    return list(getattr(saved, "_data", saved).values())


def apply() -> None:
    from ministack.services import glue

    load = glue.load_persisted_state

    def load_ended(state: dict[str, Any]) -> None:
        end_unfinished(state)
        load(state)

    glue.load_persisted_state = load_ended
