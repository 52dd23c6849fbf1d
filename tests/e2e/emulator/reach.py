"""What a role can do: a fixed list of calls on everything that the stack holds, made as that role.

Each call is harmless where it is allowed: it is one that is refused for something else, such as a key, an item or
a token that is not there.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.settings import BUCKETS, Settings
from local.emulator import Emulator
from local.emulator.environment import ACCOUNT, REGION

Call = tuple[str, str, str, dict[str, Any]]
"""What it is called here, service, method, arguments."""

_FOLDERS = {
    "landing": ("items", "fhir", "fhir_changes", "quarantine/source=items", "quarantine/source=fhir_changes", "replayed"),
    "lake": tuple(f"warehouse/watershed_{zone}" for zone in ("curated", "curated_deid", "conformed", "ops")),
    "exports": ("exports", "manifests", "AWSDynamoDB"),
    "failures": ("aws/lambda",),
    "results": ("watershed", "watershed-research"),
    "docs": ("",),
    "logs": ("",),
}  # fmt: skip
"""The prefixes of each bucket that some role is told apart by."""

_WRONG = base64.b64encode(bytes(16)).decode()
"""The digest of no text that is put."""

_ONCE = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
_ANYBODY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        }
    ],
}


def calls(emulator: Emulator, settings: Settings) -> Iterator[Call]:
    for purpose in BUCKETS:
        for folder in _FOLDERS[purpose]:
            where = {"Bucket": settings.bucket(purpose), "Key": f"{folder}/probe".lstrip("/")}
            place = f"{purpose}/{folder}".rstrip("/")
            yield f"get {place}", "s3", "get_object", where
            yield f"put {place}", "s3", "put_object", {**where, "Body": "x", "ContentMD5": _WRONG}
            yield f"delete {place}", "s3", "delete_object", {**where, "Key": f"{where['Key']}-absent"}
    quarantine = {"Bucket": settings.bucket("landing"), "Prefix": "quarantine/", "MaxKeys": 1}
    yield "list landing/quarantine", "s3", "list_objects_v2", quarantine
    nothing = {"probe": {"S": "x"}}
    for name in emulator.client("dynamodb").list_tables()["TableNames"]:
        short = name.removeprefix(f"{settings.prefix}-")
        yield f"get {short}", "dynamodb", "get_item", {"TableName": name, "Key": nothing}
        yield f"put {short}", "dynamodb", "put_item", {"TableName": name, "Item": nothing}
        yield (
            f"update {short}",
            "dynamodb",
            "update_item",
            {"TableName": name, "Key": nothing, "UpdateExpression": "no expression"},
        )
        yield f"delete {short}", "dynamodb", "delete_item", {"TableName": name, "Key": nothing}
        yield f"scan {short}", "dynamodb", "scan", {"TableName": name, "FilterExpression": "no expression"}
    for url in emulator.client("sqs").list_queues().get("QueueUrls", []):
        short = url.rpartition("/")[2].removeprefix(f"{settings.prefix}-")
        late = {"QueueUrl": url, "MessageBody": "x", "DelaySeconds": 900}
        yield f"send {short}", "sqs", "send_message", late
        yield f"see {short}", "sqs", "get_queue_attributes", {"QueueUrl": url}
        absent = {"QueueUrl": url, "ReceiptHandle": "absent"}
        yield f"consume {short}", "sqs", "delete_message", absent
    for zone in ("landing", "conformed", "curated", "curated_deid", "ops"):
        database = settings.database(zone)
        yield f"list {zone} tables", "glue", "get_tables", {"DatabaseName": database}
        absent = {"DatabaseName": database, "Name": "absent"}
        yield f"drop {zone} tables", "glue", "delete_table", absent
    yield "start jobs", "glue", "start_job_run", {"JobName": f"{settings.prefix}-absent"}
    machine = settings.arn("states", f"stateMachine:{settings.name('export')}")
    yield (
        "start exports",
        "stepfunctions",
        "start_execution",
        {"stateMachineArn": machine, "input": "no JSON"},
    )
    yield "answer tasks", "stepfunctions", "send_task_failure", {"taskToken": "absent"}
    function = settings.name("land-export")
    yield "invoke", "lambda", "invoke", {"FunctionName": function, "InvocationType": "DryRun"}
    for bus in emulator.client("events").list_event_buses()["EventBuses"]:
        entry = {"EventBusName": bus["Name"], "Source": "probe", "DetailType": "probe", "Detail": "{}"}
        yield f"put events {bus['Name']}", "events", "put_events", {"Entries": [entry]}
    for pool in emulator.client("cognito-idp").list_user_pools(MaxResults=10)["UserPools"]:
        absent = {"UserPoolId": pool["Id"], "Username": "absent"}
        yield "delete users", "cognito-idp", "admin_delete_user", absent
    yield "make roles", "iam", "create_role", {"RoleName": "x", "AssumeRolePolicyDocument": "no JSON"}
    role = f"arn:aws:iam::{ACCOUNT}:role/{settings.name('jobs')}"
    yield "become the jobs", "sts", "assume_role", {"RoleArn": role, "RoleSessionName": "probe"}


LANDING_ZONES = (
    "items",
    "fhir",
    "fhir_changes",
    "quarantine/source=items",
    "quarantine/source=fhir_changes",
    "replayed",
)
"""The folders of the landing zone that a reader of all of it reaches."""


class Reach:
    """Tells of a role of the stack, by its name after the prefix, which calls are not refused to it."""

    def __init__(self, emulator: Emulator, settings: Settings) -> None:
        self._settings = settings
        self._iam, self._sts = emulator.client("iam"), emulator.client("sts")
        self._calls = list(calls(emulator, settings))
        # One set of clients, whose credentials change: making them takes longer than all the calls.
        session = botocore.session.Session()
        session.set_credentials("none", "none")
        self._credentials: Any = session.get_credentials()
        boto = boto3.Session(botocore_session=session, region_name=REGION)
        self._clients = {
            service: boto.client(service, endpoint_url=emulator.endpoint, config=_ONCE)
            for service in sorted({service for _, service, _, _ in self._calls})
        }

    def of(self, role: str) -> set[str]:
        self._become(self._settings.name(role))
        return {
            called
            for called, service, method, arguments in self._calls
            if not _refused(self._clients[service], method, arguments)
        }

    def _become(self, role: str) -> None:
        """Who may assume the role is told by the template; for as long as this takes, everybody may."""
        trust = self._iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        self._iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(_ANYBODY))
        try:
            arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
            assumed = self._sts.assume_role(RoleArn=arn, RoleSessionName="reach")["Credentials"]
        finally:
            self._iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
        self._credentials.access_key = assumed["AccessKeyId"]
        self._credentials.secret_key = assumed["SecretAccessKey"]
        self._credentials.token = assumed["SessionToken"]


def _refused(client: Any, method: str, arguments: dict[str, Any]) -> bool:
    try:
        getattr(client, method)(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    return False
