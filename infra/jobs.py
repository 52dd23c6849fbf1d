"""The Glue jobs, their security configuration, and the workflow whose triggers run them."""

from __future__ import annotations

from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra.catalog import Catalog, glue_logs, warehouse
from infra.functions import Surroundings
from infra.names import camel
from infra.packaging import job_modules, job_script, package_jobs
from infra.policies import Permission, allow, ask_lake_formation, role, use_key
from infra.storage import Storage
from infra.twin import TwinSecret
from infra.workflow import ERASE, JOBS, MAINTENANCE, MAINTENANCE_SCHEDULE, STEPS, Node, Step, check

GLUE_VERSION = "5.1"
"""Spark 3.5.6, Python 3.11, Iceberg 1.10.0. Pinned: a job that names none gets Glue 6.0, with Spark 4."""

WORKER_TYPE = "G.1X"

JOB_TIMEOUT_MINUTES = 120
"""The default of eight hours lets a hung job cost eight hours."""

RECENT_DAYS = "2"
"""Changes land minutes after they were made, at most a day (what a stream keeps): older folders are listed daily."""

_JOB_LOGS = "/aws-glue/jobs"


class SecurityConfiguration(Construct):
    """How Glue encrypts what it writes by itself: job output, logs, bookmarks."""

    def __init__(self, scope: Construct, id_: str, given: Surroundings) -> None:
        super().__init__(scope, id_)
        self.name = given.settings.name("glue")
        key = given.key.key_arn
        self.resource = glue.CfnSecurityConfiguration(
            self,
            "SecurityConfiguration",
            name=self.name,
            encryption_configuration=glue.CfnSecurityConfiguration.EncryptionConfigurationProperty(
                s3_encryptions=[
                    glue.CfnSecurityConfiguration.S3EncryptionProperty(
                        s3_encryption_mode="SSE-KMS", kms_key_arn=key
                    )
                ],
                cloud_watch_encryption=glue.CfnSecurityConfiguration.CloudWatchEncryptionProperty(
                    cloud_watch_encryption_mode="SSE-KMS", kms_key_arn=key
                ),
                job_bookmarks_encryption=glue.CfnSecurityConfiguration.JobBookmarksEncryptionProperty(
                    job_bookmarks_encryption_mode="CSE-KMS", kms_key_arn=key
                ),
            ),
        )


def spark_configuration(warehouse_uri: str, region: str) -> str:
    """The value of Glue's `--conf`: the Iceberg catalog `lake` over the Glue Data Catalog. Glue takes one
    `--conf` and lets further ones stand inside its value."""
    settings = {
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.lake.catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog",
        "spark.sql.catalog.lake.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        "spark.sql.catalog.lake.warehouse": warehouse_uri,
        # Iceberg v3 tables are unreadable in Athena.
        "spark.sql.catalog.lake.table-default.format-version": "2",
        # S3A, which Glue 5.1 reads landing with, otherwise asks us-east-2.
        "spark.hadoop.fs.s3a.endpoint.region": region,
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.adaptive.enabled": "true",
    }
    return " --conf ".join(f"{name}={value}" for name, value in settings.items())


class Jobs(Construct):
    """One Glue job for each of `JOBS`, and the schedule of the one that no workflow starts."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        given: Surroundings,
        storage: Storage,
        catalog: Catalog,
        security: SecurityConfiguration,
        twin: TwinSecret | None = None,
    ) -> None:
        super().__init__(scope, id_)
        settings = given.settings
        secret = twin.permissions() if twin else []
        modules = assets.Asset(self, "Modules", path=str(package_jobs(given.build)))
        scripts = {
            name: assets.Asset(self, f"Script{name}", path=str(job_script(name, given.build)))
            for name in JOBS
        }
        running = role(
            self,
            settings.name("jobs"),
            iam.ServicePrincipal("glue.amazonaws.com"),
            "The Glue jobs assume this",
            [*_permissions(given, storage, catalog, modules, scripts["curate"]), *secret],
        )
        # Only erasure changes what has landed, and only it deletes versions of objects.
        erasing = role(
            Construct(self, "Erasing"),
            settings.name("erase-job"),
            iam.ServicePrincipal("glue.amazonaws.com"),
            "The erasure job assumes this",
            [
                *_permissions(given, storage, catalog, modules, scripts[ERASE]),
                *_erasure_permissions(storage),
                *secret,
            ],
        )
        arguments = {
            "--landing_uri": f"s3://{storage.landing.bucket_name}/",
            "--docs_uri": f"s3://{storage.docs.bucket_name}/",
            "--catalog": "lake",
            "--recent_days": RECENT_DAYS,
            "--metrics_namespace": settings.metrics_namespace,
            "--conf": spark_configuration(warehouse(storage.lake), settings.region),
            "--datalake-formats": "iceberg",
            "--extra-py-files": modules.s3_object_url,
            "--additional-python-modules": job_modules(),
            # Watershed keeps its own ledger: bookmarks know neither Iceberg nor a second reader.
            "--job-bookmark-option": "job-bookmark-disable",
            "--enable-continuous-cloudwatch-log": "true",
            "--enable-metrics": "true",
            "--enable-observability-metrics": "true",
            **(twin.arguments(settings.deidentified_twin) if twin else {}),
        }
        erasure = {
            "--lake_uri": f"s3://{storage.lake.bucket_name}/",
            "--purge_bucket_versions": "true",
        }
        self.jobs = {}
        for name in JOBS:
            job = glue.CfnJob(
                self,
                camel(name),
                name=settings.name(name),
                description=f"glue_jobs/{name.replace('-', '_')}.py of Watershed",
                role=(erasing if name == ERASE else running).role_arn,
                command=glue.CfnJob.JobCommandProperty(
                    name="glueetl", python_version="3", script_location=scripts[name].s3_object_url
                ),
                default_arguments=arguments | (erasure if name == ERASE else {}),
                glue_version=GLUE_VERSION,
                worker_type=WORKER_TYPE,
                number_of_workers=settings.glue_workers,
                # One run at a time: two would merge into the same tables, and one would fail.
                execution_property=glue.CfnJob.ExecutionPropertyProperty(max_concurrent_runs=1),
                # A run is safe to repeat, but a second attempt right away meets the same cause.
                max_retries=0,
                timeout=JOB_TIMEOUT_MINUTES,
                security_configuration=security.name,
            )
            job.add_resource_dependency(security.resource)
            self.jobs[name] = job
        glue.CfnTrigger(
            self,
            "Maintenance",
            name=settings.name(MAINTENANCE),
            description="Compacts the tables and expires their old snapshots, when no run is likely",
            type="SCHEDULED",
            schedule=MAINTENANCE_SCHEDULE,
            start_on_creation=True,
            actions=[glue.CfnTrigger.ActionProperty(job_name=settings.name(MAINTENANCE))],
        ).add_resource_dependency(self.jobs[MAINTENANCE])


def _permissions(
    given: Surroundings, storage: Storage, catalog: Catalog, *packages: assets.Asset
) -> list[Permission]:
    settings = given.settings
    asset_bucket = f"arn:aws:s3:::{packages[0].s3_bucket_name}"
    written = [name for zone, name in catalog.databases.items() if zone != "landing"]
    objects = "Iceberg and the jobs name their files for what is in them."
    return [
        allow("ReadLanding", ["s3:GetObject"], [storage.landing.arn_for_objects("*")], reason=objects),
        allow(
            "Quarantine",
            ["s3:PutObject"],
            [storage.landing.arn_for_objects("quarantine/*")],
            reason=objects,
        ),
        allow(
            "WriteLake",
            ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            [storage.lake.arn_for_objects("*"), storage.docs.arn_for_objects("*")],
            reason=objects,
        ),
        allow(
            "List",
            ["s3:ListBucket", "s3:GetBucketLocation"],
            [bucket.bucket_arn for bucket in (storage.landing, storage.lake, storage.docs)],
        ),
        allow(
            "ReadScripts",
            ["s3:GetObject"],
            [f"{asset_bucket}/*"],
            reason="Assets are named for their contents, which change with every release.",
        ),
        allow(
            "KeepTables",
            [
                "glue:GetDatabase",
                "glue:GetDatabases",
                "glue:GetTable",
                "glue:GetTables",
                "glue:CreateTable",
                "glue:UpdateTable",
            ],
            [
                settings.arn("glue", "catalog"),
                *(settings.arn("glue", f"database/{name}") for name in written),
                *(settings.arn("glue", f"table/{name}/*") for name in written),
            ],
            reason="All tables of the databases that the jobs keep, and of no other.",
        ),
        use_key(given.key.key_arn, write=True),
        ask_lake_formation(),
        allow(
            "PutMetrics",
            ["cloudwatch:PutMetricData"],
            ["*"],
            {"StringEquals": {"cloudwatch:namespace": ["Glue", settings.metrics_namespace]}},
            reason="Metrics have no resources to name; the namespaces are bound instead.",
        ),
        *glue_logs(given, _JOB_LOGS),
    ]


def _erasure_permissions(storage: Storage) -> list[Permission]:
    landing, lake, exports = storage.landing, storage.lake, storage.exports
    reason = "Whose data is erased, and so which objects hold it, is known only when it is asked for."
    zones = ("fhir", "fhir_changes", "items", "quarantine", "replayed", "erasure")
    return [
        allow(
            "RewriteLanding",
            ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            [landing.arn_for_objects(f"{zone}/*") for zone in zones],
            reason=reason,
        ),
        allow(
            "PurgeVersions",
            ["s3:DeleteObjectVersion"],
            [landing.arn_for_objects("*"), lake.arn_for_objects("*"), exports.arn_for_objects("exports/*")],
            reason=reason,
        ),
        allow(
            "ListVersions",
            ["s3:ListBucketVersions"],
            [landing.bucket_arn, lake.bucket_arn, exports.bucket_arn],
        ),
    ]


class Workflow(Construct):
    """The Glue workflow and its triggers, from the declared graph."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        given: Surroundings,
        name: str,
        *needs: Construct,
        crawlers: list[str],
    ) -> None:
        super().__init__(scope, id_)
        self._settings = given.settings
        check(STEPS, JOBS, tuple(crawlers))
        workflow = glue.CfnWorkflow(
            self,
            "Workflow",
            name=name,
            description="Catalog what landed, conform it, curate and publish",
            # Unset it is unlimited, and overlapping runs would merge into the same tables.
            max_concurrent_runs=1,
        )
        for step in STEPS:
            trigger = self._trigger(step, name)
            trigger.add_resource_dependency(workflow)
            trigger.node.add_dependency(*needs)

    def _trigger(self, step: Step, workflow_name: str) -> glue.CfnTrigger:
        conditional = bool(step.after)
        return glue.CfnTrigger(
            self,
            step.name.capitalize(),
            name=self._settings.name(step.name),
            description=step.description,
            workflow_name=workflow_name,
            type="CONDITIONAL" if conditional else "ON_DEMAND",
            # A conditional trigger that is not active never fires; one on demand cannot be activated.
            start_on_creation=True if conditional else None,
            actions=[self._action(node) for node in step.starts],
            predicate=glue.CfnTrigger.PredicateProperty(
                logical="AND", conditions=[self._condition(node) for node in step.after]
            )
            if conditional
            else None,
        )

    def _action(self, node: Node) -> glue.CfnTrigger.ActionProperty:
        name = self._settings.name(node.name)
        if node.kind == "crawler":
            return glue.CfnTrigger.ActionProperty(crawler_name=name)
        return glue.CfnTrigger.ActionProperty(job_name=name)

    def _condition(self, node: Node) -> glue.CfnTrigger.ConditionProperty:
        name = self._settings.name(node.name)
        if node.kind == "crawler":
            return glue.CfnTrigger.ConditionProperty(
                logical_operator="EQUALS", crawler_name=name, crawl_state="SUCCEEDED"
            )
        return glue.CfnTrigger.ConditionProperty(logical_operator="EQUALS", job_name=name, state="SUCCEEDED")
