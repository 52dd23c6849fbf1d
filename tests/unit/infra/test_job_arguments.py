"""What the deployment passes to the jobs is what the jobs parse, no more and no less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from glue_jobs.lake.arguments import JobArguments
from infra.policies import flat
from infra.workflow import ERASE, JOBS, STEPS
from local.glue.job import job_argv, local_job

Resources = Callable[[str], dict[str, dict[str, Any]]]

_OF_ALL_JOBS = {each.name for each in fields(JobArguments)}
_OF_ERASURE = {"request", "purge_bucket_versions", "lake_uri"}
_OF_GLUE = {"JOB_NAME", "JOB_RUN_ID"}


@pytest.fixture(scope="module")
def defaults(resources: Resources) -> dict[str, dict[str, str]]:
    """The deployed default arguments by job, as CloudFormation would resolve them."""
    return {
        job["Properties"]["Name"].removeprefix("watershed-"): {
            name: flat(value) for name, value in job["Properties"]["DefaultArguments"].items()
        }
        for job in resources("AWS::Glue::Job").values()
    }


def _named(argv: tuple[str, ...]) -> set[str]:
    return {each.removeprefix("--") for each in argv if each.startswith("--")}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_knows_every_argument_that_it_is_deployed_with(
    defaults: dict[str, dict[str, str]], name: str
) -> None:
    known = _OF_ALL_JOBS | _OF_GLUE | (_OF_ERASURE if name == ERASE else set())
    assert _named(job_argv(name, "jr_1", defaults[name])) <= known


@pytest.mark.parametrize("name", JOBS)
def test_a_job_parses_what_it_is_deployed_with(defaults: dict[str, dict[str, str]], name: str) -> None:
    arguments = JobArguments.parse(job_argv(name, "jr_1", defaults[name]))
    assert arguments.landing_uri.startswith("s3://")
    assert arguments.catalog == "lake"
    assert not arguments.full
    assert arguments.recent_days == 2
    assert arguments.run_id is None, "each run makes its own"


def test_the_erasure_is_deployed_with_what_only_it_needs(defaults: dict[str, dict[str, str]]) -> None:
    # The request is given with each run.
    assert _named(job_argv(ERASE, "jr_1", defaults[ERASE])) & _OF_ERASURE == _OF_ERASURE - {"request"}


@pytest.mark.parametrize("name", JOBS)
def test_the_sql_settings_of_the_deployment_reach_the_local_spark(
    defaults: dict[str, dict[str, str]], name: str
) -> None:
    read = local_job({"Name": f"watershed-{name}", "Command": {}}, "jr_1", defaults[name])
    assert dict(read.spark_conf) == {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.adaptive.enabled": "true",
    }
    assert read.module == f"glue_jobs.{name.replace('-', '_')}"


def test_triggers_add_no_arguments_of_their_own(resources: Resources) -> None:
    """They would reach Glue and not be seen by those who read the jobs' definitions."""
    triggers = resources("AWS::Glue::Trigger")
    assert len(triggers) == len(STEPS) + 1
    for trigger in triggers.values():
        assert not [action for action in trigger["Properties"]["Actions"] if "Arguments" in action]
