"""Landing items: the function behind the tables' streams, and what becomes of changes it cannot write."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.functions import PackagedFunction, Surroundings
from infra.gap_alarms import EVENT_COUNT
from infra.policies import allow, read_streams

BATCH_SIZE = 500
"""Changes per invocation at most: about 1 MB of usual items, and well under Lambda's 6 MB event."""

PARALLELIZATION_FACTOR = 1
"""Batches of one shard at a time. Up to ten would keep the order within an item too, since Lambda deals items
out by key, but cut the same changes into more and smaller objects. Raise it when the iterator's age grows
although batches are full."""

RETRY_ATTEMPTS = 10
"""With Lambda's growing pauses this rides out minutes of S3 or KMS trouble before a batch is parked."""

RECORD_AGE_SECONDS = 6 * 3600
"""A quarter of the stream's 24 hours: what cannot be written by then is parked while the stream still holds
it, and the shard goes on."""


class LandItems(Construct):
    """`land_item_changes`, and one mapping for each table's stream."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        given: Surroundings,
        tables: Mapping[str, dynamodb.ITable],
        landing: s3.IBucket,
        failures: s3.IBucket,
    ) -> None:
        super().__init__(scope, id_)
        settings = given.settings
        self._window_seconds = settings.landing_window_seconds
        streams = [settings.arn("dynamodb", f"table/{name}/stream/*") for name in tables]
        landed = PackagedFunction(
            self,
            "LandItemChanges",
            given,
            "land_item_changes",
            {"LANDING_BUCKET": landing.bucket_name},
            [
                allow(
                    "ReadStreams",
                    [
                        "dynamodb:DescribeStream",
                        "dynamodb:GetRecords",
                        "dynamodb:GetShardIterator",
                    ],
                    streams,
                    reason="A stream is named for the moment it was made, which a new one changes.",
                ),
                allow(
                    "FindStreams",
                    ["dynamodb:ListStreams"],
                    ["*"],
                    reason="The action knows no resource, and Lambda asks for it before it makes a mapping.",
                ),
                allow(
                    "WriteLanding",
                    ["s3:PutObject"],
                    [
                        landing.arn_for_objects("items/*"),
                        landing.arn_for_objects("quarantine/source=items/*"),
                    ],
                    reason="Objects are named for the records in them.",
                ),
                allow(
                    "ParkFailures",
                    ["s3:PutObject"],
                    [failures.arn_for_objects("aws/lambda/*")],
                    reason="Lambda names the objects of failed batches.",
                ),
                *read_streams(settings),
                allow("FindFailureBucket", ["s3:ListBucket"], [failures.bucket_arn]),
            ],
            memory_mb=512,
        )
        self.function = landed.function
        self.mappings = {name: self._map(name, table, landed, failures) for name, table in tables.items()}

    def _map(
        self, name: str, table: dynamodb.ITable, landed: PackagedFunction, failures: s3.IBucket
    ) -> lambda_.CfnEventSourceMapping:
        if table.table_stream_arn is None:
            raise ValueError(f"Table {name} has no stream to land changes from")
        return lambda_.CfnEventSourceMapping(
            self,
            f"{table.node.id}Stream",
            function_name=landed.function.function_name,
            event_source_arn=table.table_stream_arn,
            # No filter: what a mapping filters out is gone without a trace.
            # From the oldest: nothing written between the table's making and the mapping's is passed over.
            starting_position="TRIM_HORIZON",
            batch_size=BATCH_SIZE,
            maximum_batching_window_in_seconds=self._window_seconds,
            parallelization_factor=PARALLELIZATION_FACTOR,
            # The function names the first record that it could not write: what is before it is done with.
            function_response_types=["ReportBatchItemFailures"],
            # A function that dies names nothing: halving finds the record that it dies of, and uses up no
            # attempt.
            bisect_batch_on_function_error=True,
            maximum_retry_attempts=RETRY_ATTEMPTS,
            maximum_record_age_in_seconds=RECORD_AGE_SECONDS,
            # Counts what is parked, for the alarm on it.
            metrics_config=lambda_.CfnEventSourceMapping.MetricsConfigProperty(metrics=[EVENT_COUNT]),
            # S3 and not SQS: a queue gets only where the records are in the stream, which forgets them
            # after a day; S3 gets the records themselves.
            destination_config=lambda_.CfnEventSourceMapping.DestinationConfigProperty(
                on_failure=lambda_.CfnEventSourceMapping.OnFailureProperty(destination=failures.bucket_arn)
            ),
        )
