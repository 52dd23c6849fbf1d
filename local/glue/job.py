"""What a Glue job's definition means on this machine: which module to run, with what, over which buckets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from local.glue.errors import JobDefinitionError

REPOSITORY = Path(__file__).parents[2]
JOBS_PACKAGE = "glue_jobs"
_NOT_HERE = frozenset({"--metrics_namespace"})
"""Arguments that jobs read and that mean nothing on this machine: there is no CloudWatch."""
_WAREHOUSE_SETTING = re.compile(r"^spark\.sql\.catalog\.[A-Za-z0-9_]+\.warehouse$")
_DEFAULT_TIMEOUT_MINUTES = 480.0  # Glue 5's

# Glue acts on these itself and jobs never read them
# (https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html).
_GLUE_OWN = frozenset(
    {
        "--additional-python-modules",
        "--conf",
        "--class",
        "--continuous-log-conversionPattern",
        "--continuous-log-logGroup",
        "--continuous-log-logStreamPrefix",
        "--customer-driver-env-vars",
        "--customer-executor-env-vars",
        "--datalake-formats",
        "--disable-proxy-v2",
        "--executor-cores",
        "--extra-files",
        "--extra-jars",
        "--extra-py-files",
        "--job-bookmark-from",
        "--job-bookmark-option",
        "--job-bookmark-to",
        "--job-language",
        "--python-modules-installer-option",
        "--scriptLocation",
        "--spark-event-logs-path",
        "--user-jars-first",
        "--write-shuffle-files-to-s3",
    }
)


@dataclass(frozen=True)
class LocalJob:
    """One run of a job, as the Spark worker needs it.

    Attributes
    ----------
    module : of the repository, with a ``main(argv)``
    argv : as the script finds them on Glue
    landing : the bucket that the jobs read, and write only ``quarantine/`` to; the erasure anywhere
    lake : the bucket of the Iceberg warehouse
    others : further buckets named by ``--*_uri`` arguments; the job may write anywhere in them
    timeout : seconds
    """

    name: str
    module: str
    argv: tuple[str, ...]
    landing: str
    lake: str
    warehouse: str
    others: tuple[str, ...]
    spark_conf: tuple[tuple[str, str], ...]
    timeout: float

    @property
    def buckets(self) -> tuple[str, ...]:
        return (self.landing, self.lake, *self.others)

    def pushes(self, bucket: str, key: str) -> bool:
        erases = self.module == f"{JOBS_PACKAGE}.erase"
        return bucket != self.landing or erases or key.startswith("quarantine/")


def local_job(
    job: Mapping[str, Any], run_id: str, arguments: Mapping[str, str], code: Path = REPOSITORY
) -> LocalJob:
    """Read a job's definition.

    Parameters
    ----------
    job : as ``GetJob`` shows it
    arguments : the job's defaults, overlaid by those of the run
    code : the folder that holds ``glue_jobs/``

    Raises
    ------
    JobDefinitionError : it names no script of ``glue_jobs/``, no landing bucket, or no warehouse
    """
    name = str(job.get("Name", ""))
    settings = spark_conf(arguments.get("--conf", ""))
    warehouse = next((value for key, value in settings.items() if _WAREHOUSE_SETTING.match(key)), None)
    if warehouse is None:
        raise JobDefinitionError(
            f"Job {name}: its --conf names no spark.sql.catalog.<name>.warehouse, so the lake has no place"
        )
    landing = arguments.get("--landing_uri")
    if landing is None:
        raise JobDefinitionError(f"Job {name}: it has no argument --landing_uri s3://<landing bucket>/")
    named = [_bucket(name, key, value) for key, value in arguments.items() if key.endswith("_uri")]
    first = (_bucket(name, "--landing_uri", landing), _bucket(name, "warehouse", warehouse))
    return LocalJob(
        name=name,
        module=job_module(name, str(job.get("Command", {}).get("ScriptLocation", "")), code),
        argv=job_argv(name, run_id, arguments),
        landing=first[0],
        lake=first[1],
        warehouse=warehouse,
        others=tuple(sorted(set(named) - set(first))),
        spark_conf=tuple(
            (key, value)
            for key, value in settings.items()
            # Where the catalog lives is what differs on this machine; how SQL behaves must not.
            if key.startswith("spark.sql.")
            and not key.startswith(("spark.sql.catalog.", "spark.sql.extensions"))
        ),
        timeout=60 * float(job.get("Timeout") or _DEFAULT_TIMEOUT_MINUTES),
    )


def _bucket(job: str, argument: str, uri: str) -> str:
    match = re.match(r"^s3://([^/]+)", uri)
    if match is None:
        raise JobDefinitionError(f"Job {job}: {argument} {uri!r} must begin with s3://<bucket>")
    return match[1]


def spark_conf(value: str) -> dict[str, str]:
    """The settings in Glue's one ``--conf`` argument: ``a=1 --conf b=2 --conf c=3``."""
    settings = {}
    for each in re.split(r"\s+--conf\s+", value.strip()):
        key, separator, setting = each.partition("=")
        if separator:
            settings[key.strip()] = setting.strip()
    return settings


def job_argv(name: str, run_id: str, arguments: Mapping[str, str]) -> tuple[str, ...]:
    """``sys.argv[1:]`` of the script: what Glue acts on itself is left out, its own names are added."""
    given = {"--JOB_NAME": name, "--JOB_RUN_ID": run_id, **arguments}
    kept = {
        key: value
        for key, value in given.items()
        if key not in _GLUE_OWN | _NOT_HERE and not key.startswith(("--enable-", "--TempDir"))
    }
    return tuple(part for key, value in kept.items() for part in (key, str(value)))


def job_module(name: str, script_location: str, code: Path = REPOSITORY) -> str:
    """The module of ``glue_jobs/`` that a job runs: by its script's file name, else by the job's own name
    (deployment tools may store a script under the hash of its content).

    Raises
    ------
    JobDefinitionError : neither names a module
    """
    script = PurePosixPath(script_location).stem
    by_name = name.replace("-", "_").removeprefix("watershed_")
    for stem in (script, by_name):
        if re.match(r"^[a-z][a-z0-9_]*$", stem) and (code / JOBS_PACKAGE / f"{stem}.py").is_file():
            return f"{JOBS_PACKAGE}.{stem}"
    raise JobDefinitionError(
        f"Job {name}: neither its script {script_location!r} nor its name is a module of {JOBS_PACKAGE}/"
    )
