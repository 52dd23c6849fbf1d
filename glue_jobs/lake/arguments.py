"""Arguments of the jobs, in the form in which Glue passes them: ``--name value``.

Glue adds arguments of its own (``--JOB_NAME``, ``--enable-metrics`` and so on), so unknown ones are
ignored (https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from glue_jobs.lake.errors import ArgumentError

_RUN_ID = re.compile(r"^\d{8}T\d{9}Z-[0-9a-f]{8}$")
_CATALOG = re.compile(r"^[A-Za-z][A-Za-z0-9_]*$")
_DEID = re.compile(r"^(shift|year)$")
_DAYS = re.compile(r"^([1-9]|[1-9]\d|[12]\d\d|3[0-5]\d|36[0-5])$")
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True)
class JobArguments:
    """What every job may be told.

    Attributes
    ----------
    landing_uri : root of the landing zone, ``s3://<bucket>/``; ends with a slash
    catalog : name of the Spark catalog that holds the lake
    run_id : the run's id where the caller chose it; None lets the job make one
    full : rebuild everything rather than only what changed
    export_id : work on this export alone, where the job knows exports
    recent_days : list the landing folders of today and so many days before, and all of them once a day; None
        lists all each time
    metrics_namespace : where in CloudWatch the run's figures go; None sends none
    docs_uri : root of the data docs, ``s3://<bucket>/``, ends with a slash; None writes none
    deid : keep the de-identified twin, with dates treated so (``shift`` or ``year``); None keeps none
    deid_secret : where the secret of its keyed hashes is, an ARN or a ``file:`` address
    """

    landing_uri: str
    catalog: str = "lake"
    run_id: str | None = None
    full: bool = False
    export_id: str | None = None
    recent_days: int | None = None
    metrics_namespace: str | None = None
    docs_uri: str | None = None
    deid: str | None = None
    deid_secret: str | None = None

    @classmethod
    def parse(cls, argv: Sequence[str]) -> JobArguments:
        """The arguments in ``argv`` (without the script's name); ``--name=value`` is taken too.

        Raises
        ------
        ArgumentError : one is missing or malformed
        """
        values = _values(argv)
        deid, deid_secret = values.get("deid") or None, values.get("deid_secret") or None
        if deid and not deid_secret:
            raise ArgumentError("--deid has no --deid_secret", "Say where the twin's secret is kept")
        return cls(
            landing_uri=_uri(values, "landing_uri", "the landing zone"),
            catalog=_matching(values, "catalog", _CATALOG, "a SQL name, such as lake") or "lake",
            run_id=_matching(values, "run_id", _RUN_ID, "of the form 20250131T235959999Z-0a1b2c3d"),
            full=_flag(values, "full"),
            export_id=values.get("export_id") or None,
            recent_days=_days(values),
            metrics_namespace=values.get("metrics_namespace") or None,
            docs_uri=_uri(values, "docs_uri", "the data docs") if values.get("docs_uri") else None,
            deid=_matching(values, "deid", _DEID, "shift or year"),
            deid_secret=deid_secret,
        )


def _values(argv: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    position = 0
    while position < len(argv):
        name, equals, value = argv[position].partition("=")
        position += 1
        if not name.startswith("--"):
            continue
        if not equals and position < len(argv) and not argv[position].startswith("--"):
            value = argv[position]
            position += 1
        values[name[2:]] = value
    return values


def _uri(values: dict[str, str], name: str, what: str) -> str:
    value = values.get(name, "")
    if not urlsplit(value).scheme:
        raise ArgumentError(f"--{name} is {value!r}", f"Give the root of {what}, such as s3://<bucket>/")
    return value.rstrip("/") + "/"


def _matching(values: dict[str, str], name: str, pattern: re.Pattern[str], form: str) -> str | None:
    value = values.get(name) or None
    if value is not None and not pattern.match(value):
        raise ArgumentError(f"--{name} is {value!r}", f"It must be {form}")
    return value


def _days(values: dict[str, str]) -> int | None:
    value = _matching(values, "recent_days", _DAYS, "a whole number of days, 1 to 365")
    return None if value is None else int(value)


def _flag(values: dict[str, str], name: str) -> bool:
    value = values.get(name, "false").lower() or "true"
    if value not in _FLAGS:
        raise ArgumentError(f"--{name} is {value!r}", "It must be true or false")
    return _FLAGS[value]
