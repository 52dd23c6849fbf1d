"""Where analysts and researchers query: the Athena workgroups, and the questions of docs/queries as its named queries."""

from __future__ import annotations

from aws_cdk import aws_athena as athena
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.names import camel
from infra.questions import load_questions
from infra.settings import Settings


class Analytics(Construct):
    """Workgroups whose settings a client cannot override: encrypted results, and a limit on what a query
    scans. ``research`` is the name of the one for the de-identified twin, where there is one."""

    def __init__(
        self, scope: Construct, id_: str, settings: Settings, key: kms.IKey, results: s3.IBucket
    ) -> None:
        super().__init__(scope, id_)
        self._settings, self._key, self._results = settings, key, results
        self.name = settings.prefix
        group = self._group("WorkGroup", self.name, "Queries of the curated, conformed and landing tables")
        self.research = settings.name("research") if settings.has_twin else None
        if self.research:
            self._group("Research", self.research, "Queries of the de-identified tables")
        for question in load_questions():
            query = athena.CfnNamedQuery(
                self,
                camel(question.name),
                name=question.name,
                description=f"{question.title} (For {question.role}.)",
                database=settings.database("curated"),
                query_string=question.for_deployment(settings),
                work_group=self.name,
            )
            query.add_resource_dependency(group)

    def _group(self, id_: str, name: str, description: str) -> athena.CfnWorkGroup:
        """Each has a folder of results of its own: what a query found is as sensitive as what it read."""
        settings = self._settings
        return athena.CfnWorkGroup(
            self,
            id_,
            name=name,
            description=description,
            state="ENABLED",
            recursive_delete_option=not settings.retain_data,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=settings.athena_cutoff_bytes,
                requester_pays_enabled=False,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{self._results.bucket_name}/{name}/",
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS", kms_key=self._key.key_arn
                    ),
                    expected_bucket_owner=settings.account,
                ),
            ),
        )
