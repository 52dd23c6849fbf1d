"""The Glue Data Catalog: databases, landing tables, and the crawlers that keep their partitions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from crawlers import Crawler, table_input
from infra.crawl_events import CrawlEvents
from infra.functions import Surroundings
from infra.names import camel
from infra.policies import Permission, allow, role, use_key
from infra.storage import Storage

ZONES = {
    "landing": "What landed, as received",
    "conformed": "Current state and history, typed",
    "curated": "What analysts use",
    "ops": "Runs, ledgers and quarantine",
}

TWIN_ZONE = "curated_deid"
"""Beside them, where the settings ask for it."""
_TWIN = "What researchers use: the curated tables without what identifies patients"

_CRAWLER_LOGS = "/aws-glue/crawlers"


def warehouse(lake: s3.IBucket) -> str:
    """Where Iceberg keeps its tables."""
    return f"s3://{lake.bucket_name}/warehouse/"


class Catalog(Construct):
    """Databases and landing tables."""

    def __init__(
        self, scope: Construct, id_: str, given: Surroundings, storage: Storage, crawlers: Iterable[Crawler]
    ) -> None:
        super().__init__(scope, id_)
        settings = given.settings
        zones = ZONES | ({TWIN_ZONE: _TWIN} if settings.has_twin else {})
        self.databases = {zone: settings.database(zone) for zone in zones}
        made = {}
        for zone, description in zones.items():
            name = self.databases[zone]
            location = (
                f"s3://{storage.landing.bucket_name}/"
                if zone == "landing"
                else f"{warehouse(storage.lake)}{name}/"
            )
            made[zone] = glue.CfnDatabase(
                self,
                camel(zone),
                catalog_id=settings.account,
                database_input=glue.CfnDatabase.DatabaseInputProperty(
                    name=name, description=description, location_uri=location
                ),
            )
        self.landing_tables = []
        for crawler in crawlers:
            for table in crawler.tables:
                entry = glue.CfnTable(
                    self,
                    f"Table{table.name}",
                    catalog_id=settings.account,
                    database_name=self.databases["landing"],
                    table_input=_lower_first(table_input(table, storage.landing.bucket_name)),
                )
                entry.add_resource_dependency(made["landing"])
                self.landing_tables.append(entry)


class Crawlers(Construct):
    """One `AWS::Glue::Crawler` for each declaration; with `events`, each reads its queue there."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        given: Surroundings,
        storage: Storage,
        catalog: Catalog,
        crawlers: Iterable[Crawler],
        security_configuration: str,
        events: CrawlEvents | None,
    ) -> None:
        super().__init__(scope, id_)
        settings = given.settings
        database = catalog.databases["landing"]
        name = settings.name("crawl")
        crawling = role(
            self,
            name,
            iam.ServicePrincipal("glue.amazonaws.com"),
            "The crawlers of the landing zone assume this",
            [
                allow(
                    "ReadLanding",
                    ["s3:GetObject"],
                    [storage.landing.arn_for_objects("*")],
                    reason="A crawler samples whatever lies in the folders of its tables.",
                ),
                allow("ListLanding", ["s3:ListBucket", "s3:GetBucketLocation"], [storage.landing.bucket_arn]),
                allow(
                    "KeepPartitions",
                    [
                        "glue:GetDatabase",
                        "glue:GetTable",
                        "glue:GetTables",
                        "glue:UpdateTable",
                        "glue:GetPartition",
                        "glue:GetPartitions",
                        "glue:BatchGetPartition",
                        "glue:BatchCreatePartition",
                        "glue:CreatePartition",
                        "glue:UpdatePartition",
                    ],
                    [
                        settings.arn("glue", "catalog"),
                        settings.arn("glue", f"database/{database}"),
                        settings.arn("glue", f"table/{database}/*"),
                    ],
                    reason="All tables of the landing database, and of no other.",
                ),
                *([events.permission()] if events else ()),
                use_key(given.key.key_arn, write=True),
                *glue_logs(given, _CRAWLER_LOGS),
            ],
        )
        self.names = []
        for declared in crawlers:
            queue = events.by_crawler[declared.name] if events else None
            crawler = glue.CfnCrawler(
                self,
                camel(declared.name),
                name=settings.name(declared.name),
                description=declared.description,
                role=crawling.role_arn,
                database_name=database,
                targets=_lower_first(declared.targets(database, queue)),
                schema_change_policy=glue.CfnCrawler.SchemaChangePolicyProperty(
                    update_behavior=declared.schema_change_policy["UpdateBehavior"],
                    delete_behavior=declared.schema_change_policy["DeleteBehavior"],
                ),
                recrawl_policy=glue.CfnCrawler.RecrawlPolicyProperty(
                    recrawl_behavior=declared.recrawl_policy(queue)["RecrawlBehavior"]
                ),
                configuration=declared.configuration,
                crawler_security_configuration=security_configuration,
            )
            crawler.node.add_dependency(*catalog.landing_tables)
            self.names.append(declared.name)


def glue_logs(given: Surroundings, group: str) -> list[Permission]:
    """What Glue asks of a role to write encrypted logs. It makes the groups itself, and names them for the
    security configuration."""
    arns = [
        given.settings.arn("logs", f"log-group:{group}*"),
        given.settings.arn("logs", f"log-group:{group}*:*"),
    ]
    return [
        allow(
            "WriteGlueLogs",
            [
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:PutLogEvents",
                "logs:AssociateKmsKey",
                "logs:PutRetentionPolicy",
            ],
            arns,
            reason="Glue makes these groups itself and adds the security configuration to their names.",
        )
    ]


def _lower_first(value: Any) -> Any:
    """The API's `PascalCase` names as the CDK's `camelCase` ones; keys of free maps stay as they are."""
    if isinstance(value, dict):
        return {
            name[0].lower() + name[1:]: inner if name == "Parameters" else _lower_first(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_lower_first(inner) for inner in value]
    return value
