"""What a deployed job's definition means locally."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.glue.errors import JobDefinitionError
from local.glue.job import job_argv, job_module, local_job, spark_conf

CONF = (
    "spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
    " --conf spark.sql.catalog.lake=org.apache.iceberg.spark.SparkCatalog"
    " --conf spark.sql.catalog.lake.catalog-impl=org.apache.iceberg.aws.glue.GlueCatalog"
    " --conf spark.sql.catalog.lake.warehouse=s3://the-lake/warehouse"
    " --conf spark.hadoop.fs.s3a.endpoint.region=us-east-1"
    " --conf spark.sql.session.timeZone=UTC"
)
ARGUMENTS = {
    "--landing_uri": "s3://the-landing/",
    "--docs_uri": "s3://the-docs/",
    "--catalog": "lake",
    "--conf": CONF,
    "--datalake-formats": "iceberg",
    "--extra-py-files": "s3://assets/modules.zip",
    "--enable-metrics": "true",
    "--job-bookmark-option": "job-bookmark-disable",
}


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "glue_jobs").mkdir()
    (tmp_path / "glue_jobs" / "conform_items.py").touch()
    return tmp_path


def job(script: str = "s3://assets/conform_items.py", **fields: Any) -> dict[str, Any]:
    return {"Name": "watershed-conform-items", "Command": {"ScriptLocation": script}, **fields}


def test_the_buckets_are_those_of_the_arguments_and_of_the_warehouse(code: Path) -> None:
    read = local_job(job(Timeout=5), "jr_1", ARGUMENTS, code)
    assert read.buckets == ("the-landing", "the-lake", "the-docs")
    assert read.warehouse == "s3://the-lake/warehouse"
    assert read.timeout == 300


def test_jobs_write_to_landing_only_what_they_quarantine(code: Path) -> None:
    read = local_job(job(), "jr_1", ARGUMENTS, code)
    assert read.pushes("the-landing", "quarantine/source=items/x")
    assert not read.pushes("the-landing", "items/x")
    assert read.pushes("the-lake", "warehouse/x")
    assert read.pushes("the-docs", "index.html")


def test_the_script_finds_its_own_arguments_and_not_glues() -> None:
    assert job_argv("j", "jr_1", ARGUMENTS) == (
        "--JOB_NAME", "j",
        "--JOB_RUN_ID", "jr_1",
        "--landing_uri", "s3://the-landing/",
        "--docs_uri", "s3://the-docs/",
        "--catalog", "lake",
    )  # fmt: skip


def test_spark_sql_settings_reach_the_run_and_those_of_the_catalog_do_not(code: Path) -> None:
    conf = dict(local_job(job(), "jr_1", ARGUMENTS, code).spark_conf)
    assert conf["spark.sql.session.timeZone"] == "UTC"
    assert not [key for key in conf if "catalog" in key or "extensions" in key or "hadoop" in key]


@pytest.mark.parametrize(
    ("value", "settings"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1 --conf b=x=y", {"a": "1", "b": "x=y"}),
        ("  a=1   --conf   b=2 ", {"a": "1", "b": "2"}),
    ],
)
def test_one_conf_argument_holds_many(value: str, settings: dict[str, str]) -> None:
    assert spark_conf(value) == settings


def test_a_script_named_for_its_content_is_found_by_the_jobs_name(code: Path) -> None:
    assert job_module("watershed-conform-items", "s3://assets/3f2a9c.py", code) == "glue_jobs.conform_items"


@pytest.mark.parametrize("script", ["s3://assets/nothing.py", "", "s3://assets/../etc/passwd"])
def test_a_job_that_names_no_module_is_refused(script: str, code: Path) -> None:
    with pytest.raises(JobDefinitionError, match="Job other"):
        job_module("other", script, code)


@pytest.mark.parametrize(
    ("missing", "named"), [("--conf", "warehouse"), ("--landing_uri", "--landing_uri s3://")]
)
def test_what_is_missing_is_named(missing: str, named: str, code: Path) -> None:
    arguments = {key: value for key, value in ARGUMENTS.items() if key != missing}
    with pytest.raises(JobDefinitionError, match=named):
        local_job(job(), "jr_1", arguments, code)


def test_a_uri_that_is_none_is_named(code: Path) -> None:
    with pytest.raises(JobDefinitionError, match=r"--docs_uri '/tmp' must begin with s3://"):
        local_job(job(), "jr_1", {**ARGUMENTS, "--docs_uri": "/tmp"}, code)
