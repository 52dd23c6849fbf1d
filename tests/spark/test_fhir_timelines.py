"""Random timelines of HealthLake, the export workflow and a change feed, conformed by the real job as they
land: whatever is lost, repeated or killed, in the end the table is the source."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from glue_jobs.conform import fhir
from tests.conftest import examples
from tests.spark.landed_exports import FhirLake
from tests.spark.test_conform_fhir import make_lake
from tests.unit.exports.test_timelines import act, actions, check_locks, conformed, source, timeline
from tests.unit.exports.timeline import Timeline
from tests.unit.exports.timeline_feeds import FEEDS

pytestmark = pytest.mark.spark

KILLED_AT = ("", "plan_reconciliation", "write_changes", "remember_full_exports", "record")
"""The step of the job before or after which it dies; none: it does not."""
jobs = st.tuples(st.just("conform"), st.sampled_from(KILLED_AT), st.booleans())
happenings = st.lists(
    st.tuples(st.one_of(actions, actions, actions, jobs), st.integers(0, 9)), min_size=5, max_size=25
)


def bring(world: Timeline, lake: FhirLake) -> None:
    """Put on disk what has landed since."""
    for (bucket, key), (body, _) in list(world.s3.objects.items()):
        path = lake.landing / key
        if bucket == "landing" and not (path.exists() and path.read_bytes() == body):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)


def conform(world: Timeline, lake: FhirLake, killed_at: str = "", after: bool = False) -> None:
    """Run the job on what has landed, and kill it there."""
    bring(world, lake)
    if not killed_at:
        lake.conform()
        return
    step = getattr(fhir, killed_at)

    def killed(*arguments: object, **more: object) -> None:
        if after:
            step(*arguments, **more)
        raise KeyboardInterrupt

    with patch.object(fhir, killed_at, killed), suppress(KeyboardInterrupt):
        lake.conform()


def versions(lake: FhirLake) -> dict[tuple[str, str], str | None]:
    """The version of each resource in the table, None where it is deleted."""
    return {
        (row["resource_type"], row["id"]): json.loads(row["resource"])["meta"]["versionId"]
        if row["resource"]
        else None
        for row in lake.rows().values()
    }


@settings(
    max_examples=examples(3),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink an example takes minutes
)
@given(happenings, st.sampled_from(FEEDS))
def test_the_table_becomes_the_source_whatever_happens(
    spark: SparkSession, mirror: Path, happens: list[tuple[tuple[object, ...], int]], feed: str
) -> None:
    lake = make_lake(spark, mirror)
    with timeline(feed) as world:
        for action, steps in happens:
            match action:
                case ("conform", str(killed_at), bool(after)):
                    conform(world, lake, killed_at, after)
                case _:
                    act(world, action)
            for _ in range(steps):
                world.step()
        world.quiet()
        check_locks(world)
        note("the next run")
        world.finish("incremental")
        conform(world, lake)
        assert versions(lake) == conformed(world)
        note("a full export")
        world.finish("full")
        conform(world, lake)
        assert {key: version for key, version in versions(lake).items() if version} == source(world)
        assert world.most_at_once <= 1
