"""DynamoDB exports to S3: asking for one, writing one where the emulator cannot, reading and landing it.

The layout and the manifests are those of
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html
"""

from __future__ import annotations

import base64
import gzip
import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from typing import Any

from glue_jobs.conform.item_coverage import Coverage, coverage_key
from lambdas.shared.exported_item import Export, TableTypes, exported_item
from lambdas.shared.hive import partition_path
from lambdas.shared.item_change import ItemChangeError, Landed
from lambdas.shared.landing_object import Entry, landing_objects, write_once
from local.errors import LocalError
from schemas import load_item_types

LINES_AT_ONCE = 20_000
"""Lines per landing object at most: some 20 MB of usual items, which one Spark task reads in seconds."""
LANDED_BY = "backfill:local"
_POLL_SECONDS = 10.0
_BOTH_IMAGES = "NEW_AND_OLD_IMAGES"


class ExportError(LocalError):
    """Raised when an export is not one that can be landed, or did not complete."""


@dataclass(frozen=True)
class Found:
    """An export in S3: what it shows, and the keys of its data files with their counts of items."""

    bucket: str
    export: Export
    files: Sequence[tuple[str, int]]


@dataclass
class Backfilled:
    """What landing an export did. ``items`` lines were read, ``refused`` of them went to quarantine."""

    export: str
    table: str
    shown_at: str
    since: str | None
    items: int = 0
    refused: int = 0
    new_objects: int = 0
    unmatched: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


def read_export(s3: Any, bucket: str, prefix: str) -> Found:
    """The export whose ``manifest-summary.json`` lies below ``prefix``.

    Raises
    ------
    ExportError : there is none, it is not in DynamoDB JSON, or its manifest is not one
    """
    prefix = prefix.rstrip("/") + "/"
    try:
        summary = json.loads(_body(s3, bucket, prefix + "manifest-summary.json"))
        export = Export(
            export_id=summary["exportArn"].rpartition("/")[2],
            table_name=summary["tableArn"].split(":table/")[1].split("/")[0],
            shown_at=datetime.fromisoformat(summary.get("exportToTime") or summary["exportTime"]),
            since=_since(summary),
            old_images=summary.get("outputView") == _BOTH_IMAGES,
        )
        listed = _body(s3, bucket, summary["manifestFilesS3Key"]).decode().splitlines()
        files = [(each["dataFileS3Key"], int(each["itemCount"])) for each in map(json.loads, listed) if each]
    except s3.exceptions.NoSuchKey:
        raise ExportError(
            f"No complete export lies at s3://{bucket}/{prefix}: it has no manifests.",
            "Give the folder that holds manifest-summary.json, such as s3://…/AWSDynamoDB/<export id>/",
        ) from None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ExportError(
            f"The manifest of s3://{bucket}/{prefix} is not that of an export ({type(error).__name__})."
        ) from None
    if summary.get("outputFormat", "DYNAMODB_JSON") != "DYNAMODB_JSON":
        raise ExportError(
            f"The export {export.export_id} is in {summary['outputFormat']}.", "Export in DYNAMODB_JSON."
        )
    return Found(bucket, export, files)


def _since(summary: dict[str, Any]) -> datetime | None:
    if summary.get("exportType") != "INCREMENTAL_EXPORT":
        return None
    return datetime.fromisoformat(summary["exportFromTime"])


def _body(s3: Any, bucket: str, key: str) -> bytes:
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def land_export(
    s3: Any, landing: str, found: Found, note: Callable[[str], None] = lambda _: None
) -> Backfilled:
    """Land an export's lines in the landing zone, then say there that it is complete.

    Safe to kill and to repeat: objects are named for their lines and never replaced, and what the export
    does not hold counts as absent only once everything it holds has landed.

    Raises
    ------
    ExportError : no item type is declared for the table, or a file holds another number of items than the
        manifest says
    """
    export = found.export
    types = TableTypes.of(export.table_name, load_item_types().values())
    if types is None:
        raise ExportError(
            f"No item type is declared for table {export.table_name}.", "Declare one in schemas/items/."
        )
    done = Backfilled(
        export.export_id,
        export.table_name,
        export.shown_at.isoformat(),
        export.since.isoformat() if export.since else None,
    )
    _put_coverage(s3, landing, export, complete=False)
    landed = Landed(datetime.now(UTC), LANDED_BY)
    for key, expected in found.files:
        before = done.items
        lines = enumerate(_lines(s3, found.bucket, key))
        while chunk := list(islice(lines, LINES_AT_ONCE)):
            _land_lines(s3, landing, chunk, key, export, types, landed, done)
            note(f"{done.items:,} items")
        if done.items - before != expected:
            raise ExportError(
                f"{key} holds {done.items - before:,} items, and its manifest says {expected:,}.",
                "Export anew: the file was changed or cut short.",
            )
    _put_coverage(s3, landing, export, complete=True)
    return done


def _lines(s3: Any, bucket: str, key: str) -> Iterator[bytes]:
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    with gzip.GzipFile(fileobj=body) as reader:
        yield from reader


def _land_lines(
    s3: Any,
    landing: str,
    chunk: Sequence[tuple[int, bytes]],
    file: str,
    export: Export,
    types: TableTypes,
    landed: Landed,
    done: Backfilled,
) -> None:
    entries: list[Entry] = []
    for number, line in chunk:
        identity = f"{export.event_id}/{file}/{number}"
        try:
            envelopes = exported_item(_parsed(line), export, types, landed)
        except ItemChangeError as error:
            done.refused += 1
            done.reasons[error.reason] = done.reasons.get(error.reason, 0) + 1
            entries.append(_refused(line, error, export, number, identity))
            continue
        done.unmatched += sum("item_type=_unmatched/" in each.partition for each in envelopes)
        entries += [Entry(each.partition, each.line, number, identity, "") for each in envelopes]
    done.items += len(chunk)
    for each in landing_objects(entries):
        done.new_objects += write_once(s3, landing, each)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ItemChangeError("not_an_exported_item", "the line is no JSON object")
    return document


def _refused(line: bytes, error: ItemChangeError, export: Export, number: int, identity: str) -> Entry:
    folder = partition_path(
        (("source", "items"), ("reason", error.reason), ("date", f"{export.shown_at:%Y-%m-%d}"))
    )
    text = line.decode("utf-8", "replace").rstrip("\n")
    quarantined = json.dumps(
        {"reason": error.reason, "detail": error.detail, "export": export.export_id, "exported": text}
    )
    return Entry(
        f"quarantine/{folder}",
        quarantined.encode() + b"\n",
        number,
        sha256(identity.encode()).hexdigest(),
        "",
    )


def _put_coverage(s3: Any, landing: str, export: Export, *, complete: bool) -> None:
    coverage = Coverage(export.event_id, export.shown_at, export.since, complete)
    s3.put_object(
        Bucket=landing,
        Key=coverage_key(export.table_name, export.export_id),
        Body=coverage.to_json().encode(),
        ContentType="application/json",
    )


def request_export(
    dynamodb: Any, table_arn: str, bucket: str, since: datetime | None, note: Callable[[str], None]
) -> str:
    """Ask DynamoDB for an export into ``bucket``, wait for it, and return its folder.

    Raises
    ------
    ExportError : it failed
    """
    request: dict[str, Any] = {"TableArn": table_arn, "S3Bucket": bucket, "ExportFormat": "DYNAMODB_JSON"}
    if since is not None:
        request["ExportType"] = "INCREMENTAL_EXPORT"
        # The end is left out: DynamoDB takes now, less what its own logs need to be complete.
        request["IncrementalExportSpecification"] = {
            "ExportFromTime": since,
            "ExportViewType": _BOTH_IMAGES,
        }
    description = dynamodb.export_table_to_point_in_time(**request)["ExportDescription"]
    arn = description["ExportArn"]
    while description["ExportStatus"] == "IN_PROGRESS":
        note("DynamoDB exports")
        time.sleep(_POLL_SECONDS)
        description = dynamodb.describe_export(ExportArn=arn)["ExportDescription"]
    if description["ExportStatus"] != "COMPLETED":
        raise ExportError(
            f"The export {arn} ended {description['ExportStatus']}:"
            f" {description.get('FailureCode', '')} {description.get('FailureMessage', '')}".rstrip()
        )
    return f"AWSDynamoDB/{arn.rpartition('/')[2]}/"


def write_local_export(
    dynamodb: Any, s3: Any, table_arn: str, bucket: str, moment: datetime | None = None
) -> str:
    """Write a full export in DynamoDB's layout from a scan, and return its folder.

    For the laptop: the emulator's own export completes without writing a file. A scan is no snapshot, so the
    moment shown is that before the scan began, and nothing may change the table meanwhile.
    """
    started = moment or datetime.now(UTC)
    export_id = f"{int(started.timestamp() * 1000):014d}-{secrets.token_hex(4)}"
    folder = f"AWSDynamoDB/{export_id}/"
    items = _scan(dynamodb, table_arn.split(":table/")[1])
    return put_export(s3, bucket, folder, table_arn, [{"Item": each} for each in items], started)


def put_export(
    s3: Any,
    bucket: str,
    folder: str,
    table_arn: str,
    lines: Iterable[dict[str, Any]],
    shown_at: datetime,
    since: datetime | None = None,
    view: str = _BOTH_IMAGES,
) -> str:
    """Write lines as an export's data file with its manifests, the summary last, and return the folder."""
    export_id = folder.rstrip("/").rpartition("/")[2]
    data_folder = folder + "data/" if since is None else "AWSDynamoDB/data/"
    # boto3 gives binary as bytes, which DynamoDB JSON writes as base64.
    data = [json.dumps(each, separators=(",", ":"), default=_base64).encode() + b"\n" for each in lines]
    file = f"{data_folder}{secrets.token_hex(13)}.json.gz"
    s3.put_object(Bucket=bucket, Key=file, Body=gzip.compress(b"".join(data), mtime=0))
    listed = json.dumps({"itemCount": len(data), "dataFileS3Key": file}) + "\n"
    s3.put_object(Bucket=bucket, Key=folder + "manifest-files.json", Body=listed.encode())
    summary: dict[str, Any] = {
        "version": "2020-06-30",
        "exportArn": f"{table_arn}/export/{export_id}",
        "tableArn": table_arn,
        "exportTime": _iso(shown_at),
        "s3Bucket": bucket,
        "manifestFilesS3Key": folder + "manifest-files.json",
        "itemCount": len(data),
        "outputFormat": "DYNAMODB_JSON",
        "exportType": "FULL_EXPORT",
    }
    if since is not None:
        del summary["exportTime"]
        summary |= {
            "version": "2023-08-01",
            "exportType": "INCREMENTAL_EXPORT",
            "outputView": view,
            "exportFromTime": _iso(since),
            "exportToTime": _iso(shown_at),
        }
    s3.put_object(Bucket=bucket, Key=folder + "manifest-summary.json", Body=json.dumps(summary).encode())
    return folder


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _scan(dynamodb: Any, table_name: str) -> Iterator[dict[str, Any]]:
    for page in dynamodb.get_paginator("scan").paginate(TableName=table_name, ConsistentRead=True):
        yield from page["Items"]
