"""A run does not outlive the emulator: it has ended when the emulator is up again, and blocks nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.emulator import Emulator
from local.emulator.patches.glue_unfinished_runs import end_unfinished
from tests.e2e.emulator.functions import ANY_ROLE

pytestmark = pytest.mark.e2e


def test_only_what_was_going_is_ended() -> None:
    state: dict[str, Any] = {
        "job_runs": {
            "j": [
                {"JobRunState": "RUNNING", "StartedOn": 1},
                {"JobRunState": "SUCCEEDED", "StartedOn": 1, "CompletedOn": 2},
            ]
        },
        "crawlers": {
            "a": {"Name": "a", "State": "RUNNING", "LastUpdated": 1, "LastCrawl": None},
            "b": {"Name": "b", "State": "READY", "LastUpdated": 1, "LastCrawl": None},
        },
        "workflow_runs": {"w": [{"Status": "STOPPING"}, {"Status": "COMPLETED", "CompletedOn": 2}]},
    }
    end_unfinished(state)
    assert [run["JobRunState"] for run in state["job_runs"]["j"]] == ["STOPPED", "SUCCEEDED"]
    assert "emulator was stopped" in state["job_runs"]["j"][0]["ErrorMessage"]
    assert state["crawlers"]["a"]["State"] == "READY"
    assert state["crawlers"]["a"]["LastCrawl"]["Status"] == "CANCELLED"
    assert state["crawlers"]["b"]["LastCrawl"] is None
    assert [run["Status"] for run in state["workflow_runs"]["w"]] == ["STOPPED", "COMPLETED"]
    assert state["workflow_runs"]["w"][1]["CompletedOn"] == 2


def test_a_workflow_can_run_again_after_a_restart(tmp_path: Path) -> None:
    conf = "spark.sql.catalog.lake.warehouse=s3://restart-lake/warehouse"
    with Emulator(tmp_path / "emulator") as emulator:
        glue, s3 = emulator.client("glue"), emulator.client("s3")
        for bucket in ("restart-landing", "restart-lake"):
            s3.create_bucket(Bucket=bucket)
        glue.create_job(
            Name="watershed-conform-items",
            Role=ANY_ROLE,
            Command={"Name": "glueetl", "ScriptLocation": "s3://scripts/conform_items.py"},
            DefaultArguments={"--landing_uri": "s3://restart-landing/", "--conf": conf},
        )
        glue.create_workflow(Name="w", MaxConcurrentRuns=1)
        glue.create_trigger(
            Name="t", WorkflowName="w", Type="ON_DEMAND", Actions=[{"JobName": "watershed-conform-items"}]
        )
        run_id = glue.start_workflow_run(Name="w")["RunId"]
    with Emulator(tmp_path / "emulator") as emulator:
        glue = emulator.client("glue")
        assert glue.get_workflow_run(Name="w", RunId=run_id)["Run"]["Status"] == "STOPPED"
        states = [
            run["JobRunState"] for run in glue.get_job_runs(JobName="watershed-conform-items")["JobRuns"]
        ]
        assert set(states) <= {"STOPPED"}
        glue.start_workflow_run(Name="w")
