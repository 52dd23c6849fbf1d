"""Roles of people: analysts, who query what is curated, researchers, who query its de-identified twin, and engineers,
who see to it that there is something.

They work by IAM alone as deployed, and are ready for Lake Formation: `docs/access.md` says how to hand the tables
over to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.analytics import Analytics
from infra.catalog import TWIN_ZONE, Catalog
from infra.functions import Surroundings
from infra.policies import Permission, allow, ask_lake_formation, role, use_key
from infra.storage import Storage

_TABLES = "All tables of the named databases, those included that the next release adds."
_OBJECTS = "Iceberg names the files of its tables, and Athena those of its results."


class People(Construct):
    """The roles that identities of the account may assume, where their own policies let them."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        given: Surroundings,
        storage: Storage,
        catalog: Catalog,
        analytics: Analytics,
    ) -> None:
        super().__init__(scope, id_)
        self._given = given
        self._storage = storage
        databases = catalog.databases
        own = analytics.name
        self._role("analysts", "Queries the curated tables", self._read([databases["curated"]], own))
        if analytics.research:
            twin = self._read([databases[TWIN_ZONE]], analytics.research)
            self._role("researchers", "Queries the de-identified tables, and no others", twin)
        self._role(
            "engineers",
            "Reads every zone, landing and quarantine too, and runs crawlers, jobs and exports",
            [
                *self._read(list(databases.values()), own),
                allow(
                    "ReadZones",
                    ["s3:GetObject"],
                    [
                        bucket.arn_for_objects("*")
                        for bucket in (storage.landing, storage.failures, storage.exports, storage.docs)
                    ],
                    reason="Which object is looked into depends on what went wrong.",
                ),
                allow(
                    "ListZones",
                    ["s3:ListBucket", "s3:GetBucketLocation"],
                    [
                        bucket.bucket_arn
                        for bucket in (storage.landing, storage.failures, storage.exports, storage.docs)
                    ],
                ),
                *self._run(),
            ],
        )

    def _role(self, suffix: str, description: str, permissions: Sequence[Permission]) -> None:
        settings = self._given.settings
        scope = Construct(self, suffix.capitalize())
        role(scope, settings.name(suffix), iam.AccountPrincipal(settings.account), description, permissions)

    def _read(self, databases: Sequence[str], work_group: str) -> list[Permission]:
        """Query these databases' Iceberg tables in the work group, and nothing beside them."""
        settings, lake, results = self._given.settings, self._storage.lake, self._storage.results
        group = settings.arn("athena", f"workgroup/{work_group}")
        folders = [f"warehouse/{name}/*" for name in databases]
        return [
            allow(
                "Query",
                [
                    "athena:StartQueryExecution",
                    "athena:StopQueryExecution",
                    "athena:GetQueryExecution",
                    "athena:BatchGetQueryExecution",
                    "athena:GetQueryResults",
                    "athena:GetQueryResultsStream",
                    "athena:ListQueryExecutions",
                    "athena:GetWorkGroup",
                    "athena:GetNamedQuery",
                    "athena:BatchGetNamedQuery",
                    "athena:ListNamedQueries",
                ],
                [group],
            ),
            allow(
                "ReadCatalog",
                [
                    "glue:GetDatabase",
                    "glue:GetDatabases",
                    "glue:GetTable",
                    "glue:GetTables",
                    "glue:GetPartition",
                    "glue:GetPartitions",
                    "glue:BatchGetPartition",
                ],
                [
                    settings.arn("glue", "catalog"),
                    *(settings.arn("glue", f"database/{name}") for name in databases),
                    *(settings.arn("glue", f"table/{name}/*") for name in databases),
                ],
                reason=_TABLES,
            ),
            allow(
                "ReadTables",
                ["s3:GetObject"],
                [lake.arn_for_objects(each) for each in folders],
                reason=_OBJECTS,
            ),
            allow(
                "ListTables",
                ["s3:ListBucket"],
                [lake.bucket_arn],
                {"StringLike": {"s3:prefix": folders}},
            ),
            allow(
                "KeepResults",
                ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
                [results.arn_for_objects(f"{work_group}/*")],
                reason=_OBJECTS,
            ),
            allow("FindResults", ["s3:GetBucketLocation", "s3:ListBucket"], [results.bucket_arn]),
            use_key(self._given.key.key_arn, write=True),
            ask_lake_formation(),
        ]

    def _run(self) -> list[Permission]:
        settings = self._given.settings
        prefix = settings.prefix
        return [
            allow(
                "RunWorkflow",
                [
                    "glue:StartWorkflowRun",
                    "glue:StopWorkflowRun",
                    "glue:ResumeWorkflowRun",
                    "glue:GetWorkflow",
                    "glue:GetWorkflowRun",
                    "glue:GetWorkflowRuns",
                ],
                [settings.arn("glue", f"workflow/{prefix}")],
            ),
            allow(
                "RunJobs",
                [
                    "glue:StartJobRun",
                    "glue:BatchStopJobRun",
                    "glue:GetJob",
                    "glue:GetJobRun",
                    "glue:GetJobRuns",
                ],
                [settings.arn("glue", f"job/{prefix}-*")],
                reason="All jobs of this deployment, by its prefix.",
            ),
            allow(
                "RunCrawlers",
                ["glue:StartCrawler", "glue:StopCrawler", "glue:GetCrawler"],
                [settings.arn("glue", f"crawler/{prefix}-*")],
                reason="All crawlers of this deployment, by its prefix.",
            ),
            allow(
                "RunExports",
                ["states:StartExecution", "states:ListExecutions"],
                [settings.arn("states", f"stateMachine:{prefix}-export")],
            ),
            allow(
                "FollowExports",
                ["states:DescribeExecution", "states:GetExecutionHistory", "states:StopExecution"],
                [settings.arn("states", f"execution:{prefix}-export:*")],
                reason="Each execution has a name of its own.",
            ),
            allow(
                "ReadLogs",
                ["logs:FilterLogEvents", "logs:GetLogEvents", "logs:DescribeLogStreams"],
                [
                    settings.arn("logs", f"log-group:{group}:*")
                    for group in (f"/aws/lambda/{prefix}-*", f"/aws/vendedlogs/*/{prefix}-*", "/aws-glue/*")
                ],
                reason="All log groups of this deployment, and those that Glue names itself.",
            ),
        ]
