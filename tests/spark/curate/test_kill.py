"""SIGKILL in the middle of a run: analysts see whole tables, and the next run completes them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from glue_jobs.lake.tables import iceberg_table
from tests.spark.curate.expected import TABLES
from tests.spark.curate.rounds import play_round
from tests.spark.curate.test_curate import assert_as_expected
from tests.spark.curate.world import World, chosen

pytestmark = pytest.mark.spark

_SECONDS = 300


def _run_and_kill(mirror: Path, landing_uri: str, published: int, delay: float) -> list[str]:
    """Run curate in a process, kill its whole group ``delay`` seconds after the ``published``-th table; the
    tables it published."""
    command = [sys.executable, "-m", "tests.spark.curate.process", str(mirror), landing_uri]
    done: list[str] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "published":
                done.append(event["table"])
                if len(done) == published:
                    break
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(_SECONDS) == -signal.SIGKILL
    return done


def _refresh(world: World) -> None:
    """Another process wrote the tables; this one's catalog holds them in memory."""
    for name in (*world.declarations.views, *world.declarations.models):
        iceberg_table(world.spark, f"lake.watershed_curated.{name}")


def test_a_run_that_is_killed_leaves_whole_tables_and_the_next_completes_them(
    spark: SparkSession, landing_uri: str, mirror: Path
) -> None:
    random_ = random.Random(11)
    world = World(spark, landing_uri, chosen(*TABLES))
    play_round(world, random_)
    world.conform()
    world.curate()
    before = {name: world.table(name) for name in ("patient_profile", "encounter_site_activity")}
    play_round(world, random_)
    world.conform()

    done = _run_and_kill(mirror, landing_uri, published=1, delay=random_.random() / 2)
    assert len(done) == 1
    _refresh(world)
    assert {name: world.table(name) for name in before} == before

    play_round(world, random_, 20)
    world.conform()
    _run_and_kill(mirror, landing_uri, published=2, delay=1 + random_.random())
    _refresh(world)
    world.curate()
    assert_as_expected(world)
    for name in before:
        assert list(iceberg_table(spark, f"lake.watershed_curated.{name}").refs()) == ["main"]
