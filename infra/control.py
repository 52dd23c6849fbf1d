"""The control plane: who may use it, the REST API before the export workflow, the Glue workflow and the tables,
and the socket that tells how they end."""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct

from infra.access import Access
from infra.catalog import TWIN_ZONE, Catalog
from infra.export import Export
from infra.functions import PackagedFunction, Surroundings
from infra.names import camel
from infra.policies import Permission, allow, use_key
from infra.rest_api import RestApi
from infra.sockets import Sockets
from infra.state_machine import DEFINITIONS, DefinedStateMachine
from infra.storage import Storage

_ADMITTING = ("AdminCreateUser", "AdminAddUserToGroup", "AdminDeleteUser")
_DISABLING = ("AdminDisableUser", "AdminUserGlobalSignOut")

_ZONES = ("conformed", "curated", TWIN_ZONE)
"""Whose tables are shown, those of the twin where there is one."""


class ControlPlane(Construct):
    """Everything behind the API; `outputs` are what its clients need to know."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        given: Surroundings,
        storage: Storage,
        catalog: Catalog,
        export: Export,
        workflow_name: str,
    ) -> None:
        super().__init__(scope, id_)
        self._given = given
        self._settings = settings = given.settings
        self.access = Access(self, "Access", given)
        admit = self._machine("admit_analyst", ["GetItem", "PutItem", "UpdateItem", "DeleteItem"], _ADMITTING)
        disable = self._machine("disable_analyst", ["UpdateItem"], _DISABLING)
        machine = settings.name("export")
        executions = settings.arn("states", f"execution:{machine}")
        workflow = settings.arn("glue", f"workflow/{workflow_name}")
        self.api = RestApi(
            self,
            "RestApi",
            given,
            self.access.pool.attr_arn,
            {
                "start-exports": [allow("StartExports", ["states:StartExecution"], [export.machine.arn])],
                "start-runs": [allow("StartRuns", ["glue:StartWorkflowRun"], [workflow])],
                "read": [
                    allow("ListExports", ["states:ListExecutions"], [export.machine.arn]),
                    allow(
                        "ReadExports",
                        ["states:DescribeExecution"],
                        [f"{executions}:*"],
                        reason="Whoever starts an export names it; executions of this one machine only.",
                    ),
                    allow("ReadRuns", ["glue:GetWorkflowRuns", "glue:GetWorkflowRun"], [workflow]),
                ],
                "admit": [allow("Admit", ["states:StartSyncExecution"], [admit.arn, disable.arn])],
            },
            {
                "list_tables": self._list_tables(storage, catalog),
                "list_quarantine": self._list_quarantine(storage),
            },
            {
                "exportMachineArn": export.machine.arn,
                "exportExecutionsArn": executions,
                "workflow": workflow_name,
                "admitMachineArn": admit.arn,
                "disableMachineArn": disable.arn,
            },
        )
        self.sockets = Sockets(self, "Sockets", given, self.access, self.api.account)
        self.outputs = {
            "ControlApiId": self.api.api.ref,
            "ControlApiUrl": self.api.url,
            "SocketApiId": self.sockets.api.ref,
            "SocketUrl": self.sockets.url,
            "UserPoolId": self.access.pool.ref,
            "UserPoolClientId": self.access.client.ref,
            "AnalystsTable": self.access.analysts.table_name,
        }

    def _machine(self, file: str, on_profiles: Sequence[str], on_users: Sequence[str]) -> DefinedStateMachine:
        """An Express machine on the profiles and the users."""
        return DefinedStateMachine(
            self,
            camel(file),
            self._given,
            self._settings.name(file.replace("_", "-")),
            DEFINITIONS / f"{file}.asl.json",
            {"AnalystsTableName": self.access.analysts.table_name, "UserPoolId": self.access.pool.ref},
            [
                allow(
                    "KeepProfiles",
                    [f"dynamodb:{action}" for action in on_profiles],
                    [self.access.analysts.table_arn],
                ),
                allow(
                    "KeepUsers", [f"cognito-idp:{action}" for action in on_users], [self.access.pool.attr_arn]
                ),
                use_key(self._given.key.key_arn, write=True),
            ],
            express=True,
        )

    def _list_tables(self, storage: Storage, catalog: Catalog) -> PackagedFunction:
        databases = {zone: name for zone, name in catalog.databases.items() if zone in _ZONES}
        return PackagedFunction(
            self,
            "ListTables",
            self._given,
            "list_tables",
            {"DATABASES": ",".join(f"{zone}={name}" for zone, name in databases.items())},
            [self._read_catalog(list(databases.values())), _read_metadata(storage)],
            timeout_seconds=25,
            memory_mb=512,
        )

    def _list_quarantine(self, storage: Storage) -> PackagedFunction:
        listing = allow(
            "ListQuarantine",
            ["s3:ListBucket"],
            [storage.landing.bucket_arn],
            {"StringEquals": {"s3:prefix": "quarantine/"}},
        )
        return PackagedFunction(
            self,
            "ListQuarantine",
            self._given,
            "list_quarantine",
            {"LANDING_BUCKET": storage.landing.bucket_name},
            [listing],
            timeout_seconds=25,
        )

    def _read_catalog(self, databases: list[str]) -> Permission:
        arn = self._settings.arn
        return allow(
            "ReadCatalog",
            ["glue:GetTables"],
            [
                arn("glue", "catalog"),
                *[arn("glue", f"database/{name}") for name in databases],
                *[arn("glue", f"table/{name}/*") for name in databases],
            ],
            reason="The jobs make a table for each declaration, in these databases only.",
        )


def _read_metadata(storage: Storage) -> Permission:
    return allow(
        "ReadMetadata",
        ["s3:GetObject"],
        [storage.lake.arn_for_objects("warehouse/*/metadata/*.json*")],
        reason="Iceberg names a table's metadata files; data files, and so rows, are not among them.",
    )
