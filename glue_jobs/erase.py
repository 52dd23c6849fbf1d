"""Glue job: removes a subject from the lake, its history and snapshots, and from the landing zone.

Arguments: ``--landing_uri s3://<bucket>/``, ``--catalog lake``, ``--run_id``; ``--request <key>``, an object
of the landing bucket with ``{"resource": "Patient/…"}`` or ``{"item": "<item type>/<key>[/<sort key>]"}``: a
run's arguments are kept and shown for months, so the subject is none of them. The request is removed, and
the report written to ``erasure/reports/`` under the request's name. ``--purge_bucket_versions true`` also
deletes what S3 keeps of the objects that were rewritten or removed; ``--lake_uri`` says where tables lie.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol
from urllib.parse import urlsplit

from glue_jobs.curation.declarations import load_declarations
from glue_jobs.erasure.job import erase
from glue_jobs.erasure.subject import parse_subject
from glue_jobs.erasure.versions import purge_all, purge_noncurrent
from glue_jobs.lake.arguments import JobArguments
from glue_jobs.lake.errors import ArgumentError
from glue_jobs.lake.run import Run, job_run
from glue_jobs.lake.session import spark_session
from schemas.item_type import load_item_types

JOB = "erase"
REPORTS = "erasure/reports/"
REQUESTS = "erasure/requests/"


def main(argv: Sequence[str]) -> None:
    """Run the job."""
    arguments = JobArguments.parse(argv)
    given = dict(pairwise(argv))
    request_key = given.get("--request", "")
    if not request_key.startswith(REQUESTS):
        raise ArgumentError("--request names no request", "Give the key of an object in erasure/requests/")
    item_types = load_item_types()
    with job_run(spark_session(arguments.catalog), arguments, JOB) as run:
        request = json.loads(_read(run, request_key))
        subject = parse_subject(request.get("resource"), request.get("item"), item_types)
        report = erase(run, subject, item_types, load_declarations())
        if given.get("--purge_bucket_versions") == "true":
            import boto3  # not where the caller purges: the laptop's Spark has no S3 of its own

            s3 = boto3.client("s3")
            report.versions = purge(s3, report, arguments.landing_uri, given["--lake_uri"], request_key)
        _write(run, report_key(request_key), json.dumps(report.to_dict()))
        _delete(run, request_key)


def report_key(request_key: str) -> str:
    """Where the report of a request is written."""
    return REPORTS + request_key.rpartition("/")[2]


class Removed(Protocol):
    """Of a report: landed objects that were rewritten, by key; addresses of the export files behind them."""

    objects: dict[str, int]
    sources: list[str]


def purge(s3: Any, report: Removed, landing_uri: str, lake_uri: str, request_key: str) -> int:
    """Delete the older versions that still hold the subject, and the export files that its lines came from.

    Returns how many versions were deleted.
    """
    landing, lake = urlsplit(landing_uri).netloc, urlsplit(lake_uri).netloc
    done = purge_noncurrent(s3, landing, [*report.objects, "erasure/rewrite/"])
    done += purge_all(s3, landing, [request_key])
    done += purge_noncurrent(s3, lake, [""])
    for source in report.sources:
        address = urlsplit(source)
        done += purge_all(s3, address.netloc, [address.path.lstrip("/")])
    return done


def _path(run: Run, key: str) -> tuple[Any, Any]:
    jvm: Any = run.spark._jvm  # type: ignore[attr-defined, unused-ignore]
    path = jvm.org.apache.hadoop.fs.Path(run.arguments.landing_uri + key)
    return path, path.getFileSystem(run.spark._jsc.hadoopConfiguration())  # type: ignore[attr-defined, unused-ignore]


def _read(run: Run, key: str) -> str:
    row = run.spark.read.text(run.arguments.landing_uri + key, wholetext=True).first()
    return str(row[0]) if row else "{}"


def _write(run: Run, key: str, text: str) -> None:
    path, files = _path(run, key)
    stream = files.create(path, True)
    try:
        stream.write(text.encode())
    finally:
        stream.close()


def _delete(run: Run, key: str) -> None:
    path, files = _path(run, key)
    files.delete(path, False)


if __name__ == "__main__":
    main(sys.argv[1:])
