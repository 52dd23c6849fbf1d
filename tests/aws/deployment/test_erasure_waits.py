"""An erasure is refused while anything may write to the lake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.moto_api import state_manager

from infra.settings import Settings
from infra.workflow import JOBS
from local.erasure import require_idle
from local.errors import LocalError

SETTINGS = Settings.local("http://x", "store")


@pytest.fixture
def glue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = boto3.client("glue", region_name="us-east-1")
        client.create_workflow(Name=SETTINGS.prefix)
        for name in JOBS:
            client.create_job(Name=SETTINGS.name(name), Role="r", Command={"Name": "glueetl"})
        yield client
        state_manager.unset_transition("glue::job_run")


def test_nothing_runs(glue: Any) -> None:
    require_idle(glue, SETTINGS)


def test_a_workflow_that_has_started_no_job_yet(glue: Any) -> None:
    glue.start_workflow_run(Name=SETTINGS.prefix)
    with pytest.raises(LocalError, match="workflow watershed goes on"):
        require_idle(glue, SETTINGS)


def test_a_job_by_itself(glue: Any) -> None:
    state_manager.set_transition("glue::job_run", {"progression": "manual", "times": 100})
    glue.start_job_run(JobName=SETTINGS.name("maintain"))
    with pytest.raises(LocalError, match="watershed-maintain is running"):
        require_idle(glue, SETTINGS)
