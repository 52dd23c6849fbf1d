"""The stack: the capabilities, put together, and what others need to know of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aws_cdk import CfnOutput, CfnParameter, DefaultStackSynthesizer, Environment, Stack, Tags
from constructs import Construct

from crawlers import load_crawlers
from infra.analytics import Analytics
from infra.catalog import Catalog, Crawlers
from infra.change_feed import change_feed
from infra.console import ConsoleSite
from infra.control import ControlPlane
from infra.control_alarms import ControlAlarms
from infra.crawl_events import CrawlEvents
from infra.export import Export
from infra.fan_out import FanOut
from infra.firehose import DeliverByFirehose
from infra.functions import Surroundings
from infra.gap_alarms import GapAlarms
from infra.healthlake import healthlake_datastore
from infra.item_tables import ItemTables
from infra.jobs import Jobs, SecurityConfiguration, Workflow
from infra.landing import LandItems
from infra.names import camel
from infra.people import People
from infra.run_schedule import RunSchedule
from infra.settings import Settings, SettingsError
from infra.storage import Encryption, Storage
from infra.twin import TwinSecret
from infra.watch import Dashboard, Watch
from schemas.deid_table import load_deid_tables, undeclared
from schemas.item_type import load_item_types
from schemas.model import Model, load_models
from schemas.view import View, load_views


class WatershedStack(Stack):
    """Everything of one deployment. `build` is where function packages are put together."""

    def __init__(self, scope: Construct, settings: Settings, build: Path) -> None:
        super().__init__(
            scope,
            settings.prefix,
            stack_name=settings.prefix,
            description="Watershed: FHIR from HealthLake and items from DynamoDB, joined in SQL",
            env=Environment(account=settings.account, region=settings.region),
            # The version rule asks for a parameter of the toolkit stack at deployment; the CDK's own client
            # checks that anyway.
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
            analytics_reporting=False,
            termination_protection=settings.retain_data,
        )
        Tags.of(self).add("application", settings.prefix)
        # Parameters, so that one synthesized template serves wherever the data store answers.
        endpoint = CfnParameter(
            self,
            "HealthLakeEndpoint",
            default=settings.healthlake_endpoint,
            allowed_pattern=r"https?://[^/\s]+",
            description="URL whose /datastore/{id}/r4/ the functions call",
        )
        key = Encryption(self, "Encryption", settings).key
        datastore = healthlake_datastore(self, settings, key)
        given = Surroundings(settings, key, build)
        storage = Storage(self, "Storage", settings, key)
        item_types = load_item_types().values()
        items = ItemTables(self, "Items", settings, key, item_types)
        landed = _deliver_items(self, given, items, storage)
        if settings.fan_out:
            FanOut(self, "FanOut", given, items.tables, item_types)

        declared = load_crawlers()
        catalog = Catalog(self, "Catalog", given, storage, declared)
        security = SecurityConfiguration(self, "GlueSecurity", given)
        events = (
            CrawlEvents(self, "CrawlEvents", given, storage, declared) if settings.crawls_by_events else None
        )
        crawlers = Crawlers(self, "Crawlers", given, storage, catalog, declared, security.name, events)
        crawlers.node.add_dependency(security)
        twin = TwinSecret(self, "TwinSecret", settings, key) if settings.has_twin else None
        jobs = Jobs(self, "Jobs", given, storage, catalog, security, twin)
        workflow = settings.prefix
        Workflow(self, "Workflow", given, workflow, crawlers, jobs, crawlers=crawlers.names)
        if settings.run_schedule:
            RunSchedule(self, "RunSchedule", settings, workflow)
        analytics = Analytics(self, "Analytics", settings, key, storage.results)
        People(self, "People", given, storage, catalog, analytics)
        export = Export(self, "Export", given, storage, workflow, endpoint.value_as_string, datastore)
        feed = change_feed(self, "ChangeFeed", given, storage, export)
        control = ControlPlane(self, "Control", given, storage, catalog, export, workflow)
        ControlAlarms(self, "ControlAlarms", settings, export.topic)
        if events:
            events.watch(export.topic)
        site = ConsoleSite(self, "Console", settings, storage, control) if settings.console else None
        if landed:
            GapAlarms(self, "GapAlarms", settings, landed.function, landed.mappings, export.topic)

        views, models = load_views(), load_models()
        if settings.has_twin:
            check_twin((*views.values(), *models.values()))
        curated = sorted({*views, *models})
        Watch(self, "Watch", settings, export.topic, curated, analytics.name)
        Dashboard(self, "Dashboard", settings)

        outputs = {
            "LandingBucket": storage.landing.bucket_name,
            "LakeBucket": storage.lake.bucket_name,
            "ExportsBucket": storage.exports.bucket_name,
            "ResultsBucket": storage.results.bucket_name,
            "DocsBucket": storage.docs.bucket_name,
            "FailuresBucket": storage.failures.bucket_name,
            "LogsBucket": storage.logs.bucket_name,
            **{
                f"{table.node.id.removeprefix('Watershed')}Table": table.table_name
                for table in items.tables.values()
            },
            "StateTable": export.state.table_name,
            "StateMachineArn": export.machine.arn,
            "StartQueueUrl": export.start_queue.queue.queue_url,
            "PollQueueUrl": export.poll_queue.queue.queue_url,
            "ResourceBus": export.resource_events.bus.name,
            **(feed.outputs if feed else {}),
            "OutcomesTopicArn": export.topic.topic_arn,
            "WorkflowName": workflow,
            "WorkGroup": analytics.name,
            **({"ResearchWorkGroup": analytics.research} if analytics.research else {}),
            **{f"{camel(zone)}Database": name for zone, name in catalog.databases.items()},
            "HealthLakeDatastoreId": datastore,
            **control.outputs,
            **(site.outputs if site else {}),
        }
        for name, value in outputs.items():
            CfnOutput(self, f"Out{name}", value=value).override_logical_id(name)


def check_twin(tables: Iterable[View | Model]) -> None:
    """Refuse to deploy a twin that would lack columns because nobody judged them.

    Raises
    ------
    SchemaError : naming the file and the column of the first
    """
    for error in undeclared(load_deid_tables(), tables):
        raise error


def _deliver_items(
    scope: Construct, given: Surroundings, items: ItemTables, storage: Storage
) -> LandItems | None:
    """Each table's changes by one delivery and never by both: a stream serves two readers, and the fan-out is
    the other. The direct delivery, where a table has it."""
    chosen = given.settings.firehose_tables
    for name in chosen:
        if name not in items.tables:
            known = ", ".join(items.tables)
            raise SettingsError(
                "firehose_tables", f"{name!r} is no table of the item types; they are {known}"
            )
    direct = {name: table for name, table in items.tables.items() if name not in chosen}
    if chosen:
        by_firehose = {name: table for name, table in items.tables.items() if name in chosen}
        DeliverByFirehose(scope, "DeliverByFirehose", given, by_firehose, storage.landing)
    if not direct:
        return None
    return LandItems(scope, "LandItems", given, direct, storage.landing, storage.failures)
