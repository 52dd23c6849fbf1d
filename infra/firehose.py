"""Landing items by Firehose: a pipe for each table, one stream, and the function that says where lines go."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_logs as logs
from aws_cdk import aws_pipes as pipes
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.functions import PackagedFunction, Surroundings, retention
from infra.pipe_record import RECORD_TEMPLATE
from infra.pipes import StreamPipe, Target, short_name
from infra.policies import Permission, allow, consume, read_streams, role, use_key
from infra.queues import WorkQueue

PARTITION_KEY = "partition"
"""The key under which the function names a line's partition, the whole path of it."""

PIPE_BATCH_SIZE = 100
"""PutRecordBatch takes 500 records and 4 MiB: with 100, items of 20 KB and both their images fit, and
halving finds the rest."""

PIPE_WINDOW_SECONDS = 1
"""Firehose collects; the pipe need not."""

BUFFER_MB = 64
"""The least that dynamic partitioning allows; in each partition, before an object is written."""

BUFFER_SECONDS = 120
"""How long an object is collected: fewer and larger objects, for as much latency. Exports run every five
minutes by default, and nobody reads items between the runs they start."""

TRANSFORM_BUFFER_MB = 1
"""What the function gets at once. Its answer is about as large, a third more in base64; and beyond 6 MB it
writes by itself."""

TRANSFORM_BUFFER_SECONDS = 60

TRANSFORM_RETRIES = 3
"""Of a function that fails as a whole; then Firehose keeps the batch under the error prefix."""

RETRY_SECONDS = 300
"""Of a partition that cannot be written."""

PARKED_TIMEOUT_SECONDS = 60

ERROR_PREFIX = "quarantine/source=items/reason=!{firehose:error-output-type}/date=!{timestamp:yyyy-MM-dd}/"
"""What Firehose could not deliver lies where unreadable records lie, with a reason such as
``processing-failed``, each line with the record as it came (``rawData``)."""


class DeliverByFirehose(Construct):
    """`partition_item_changes` behind a Firehose stream, and a pipe from each table's stream."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        given: Surroundings,
        tables: Mapping[str, dynamodb.ITable],
        landing: s3.IBucket,
    ) -> None:
        super().__init__(scope, id_)
        self._given = given
        self._landing = landing
        self._name = given.settings.name("item-changes")
        self._partition = PackagedFunction(
            self,
            "PartitionItemChanges",
            given,
            "partition_item_changes",
            {"LANDING_BUCKET": landing.bucket_name},
            [_write_landing(landing)],
            memory_mb=512,
        )
        stream = self._stream()
        stream_arn = given.settings.arn("firehose", f"deliverystream/{self._name}")
        parked = WorkQueue(
            self,
            "Parked",
            given.settings,
            given.key,
            "parked-changes",
            consumer_timeout=PARKED_TIMEOUT_SECONDS,
        )
        self._land_parked(parked, tables)
        for name, table in tables.items():
            pipe = StreamPipe(
                self,
                f"{table.node.id}Pipe",
                given,
                given.settings.name(f"land-{short_name(name, given.settings.prefix)}"),
                (name, table),
                Target(
                    stream_arn,
                    pipes.CfnPipe.PipeTargetParametersProperty(input_template=RECORD_TEMPLATE),
                    [allow("Deliver", ["firehose:PutRecordBatch"], [stream_arn])],
                    parked.queue,
                ),
                batch_size=PIPE_BATCH_SIZE,
                window_seconds=PIPE_WINDOW_SECONDS,
            )
            pipe.node.add_dependency(stream)

    def _land_parked(self, parked: WorkQueue, tables: Mapping[str, dynamodb.ITable]) -> None:
        """What a pipe gives up on is still in the stream: a function lands it as the direct sink would."""
        settings, landing = self._given.settings, self._landing
        land = PackagedFunction(
            self,
            "LandParkedChanges",
            self._given,
            "land_parked_changes",
            {"LANDING_BUCKET": landing.bucket_name},
            [
                consume(parked.arn),
                allow(
                    "ReadStreams",
                    ["dynamodb:GetRecords", "dynamodb:GetShardIterator"],
                    [settings.arn("dynamodb", f"table/{name}/stream/*") for name in tables],
                    reason="A stream is named for the moment it was made, which a new one changes.",
                ),
                *read_streams(settings),
                _write_landing(landing),
            ],
            timeout_seconds=PARKED_TIMEOUT_SECONDS,
            memory_mb=512,
        )
        parked.consumed_by(land.function)

    def _stream(self) -> firehose.CfnDeliveryStream:
        given = self._given
        scope = Construct(self, "Stream")
        group = logs.LogGroup(
            scope,
            "Logs",
            log_group_name=f"/aws/kinesisfirehose/{self._name}",
            retention=retention(given.settings),
            encryption_key=given.key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        log_stream = logs.LogStream(
            scope,
            "Errors",
            log_group=group,
            log_stream_name="errors",
            removal_policy=RemovalPolicy.DESTROY,
        )
        delivering = self._role(scope, group, log_stream)
        made = firehose.CfnDeliveryStream(
            scope,
            "Firehose",
            delivery_stream_name=self._name,
            delivery_stream_type="DirectPut",
            delivery_stream_encryption_configuration_input=(
                firehose.CfnDeliveryStream.DeliveryStreamEncryptionConfigurationInputProperty(
                    key_type="CUSTOMER_MANAGED_CMK", key_arn=given.key.key_arn
                )
            ),
            extended_s3_destination_configuration=self._destination(group, log_stream, delivering),
        )
        made.node.add_dependency(delivering)
        return made

    def _destination(
        self, group: logs.LogGroup, log_stream: logs.LogStream, delivering: iam.IRole
    ) -> firehose.CfnDeliveryStream.ExtendedS3DestinationConfigurationProperty:
        kinds = firehose.CfnDeliveryStream
        transform = {
            "LambdaArn": self._partition.arn,
            "BufferSizeInMBs": str(TRANSFORM_BUFFER_MB),
            "BufferIntervalInSeconds": str(TRANSFORM_BUFFER_SECONDS),
            "NumberOfRetries": str(TRANSFORM_RETRIES),
        }
        return kinds.ExtendedS3DestinationConfigurationProperty(
            bucket_arn=self._landing.bucket_arn,
            role_arn=delivering.role_arn,
            # The function names the partition; Firehose appends nothing to a prefix with an expression.
            prefix=f"!{{partitionKeyFromLambda:{PARTITION_KEY}}}",
            error_output_prefix=ERROR_PREFIX,
            file_extension=".ndjson.gz",
            compression_format="GZIP",
            buffering_hints=kinds.BufferingHintsProperty(
                size_in_m_bs=BUFFER_MB, interval_in_seconds=BUFFER_SECONDS
            ),
            dynamic_partitioning_configuration=kinds.DynamicPartitioningConfigurationProperty(
                enabled=True, retry_options=kinds.RetryOptionsProperty(duration_in_seconds=RETRY_SECONDS)
            ),
            encryption_configuration=kinds.EncryptionConfigurationProperty(
                kms_encryption_config=kinds.KMSEncryptionConfigProperty(
                    awskms_key_arn=self._given.key.key_arn
                )
            ),
            processing_configuration=kinds.ProcessingConfigurationProperty(
                enabled=True,
                processors=[
                    kinds.ProcessorProperty(
                        type="Lambda",
                        parameters=[
                            kinds.ProcessorParameterProperty(parameter_name=name, parameter_value=value)
                            for name, value in transform.items()
                        ],
                    )
                ],
            ),
            cloud_watch_logging_options=kinds.CloudWatchLoggingOptionsProperty(
                enabled=True, log_group_name=group.log_group_name, log_stream_name=log_stream.log_stream_name
            ),
        )

    def _role(self, scope: Construct, group: logs.LogGroup, log_stream: logs.LogStream) -> iam.IRole:
        landing, settings = self._landing, self._given.settings
        return role(
            scope,
            self._name,
            iam.ServicePrincipal(
                "firehose.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": settings.account}},
            ),
            "Firehose assumes this to partition and land item changes",
            [
                allow(
                    "WriteLanding",
                    ["s3:PutObject", "s3:AbortMultipartUpload"],
                    [
                        landing.arn_for_objects("items/*"),
                        landing.arn_for_objects("quarantine/source=items/*"),
                    ],
                    reason="Firehose names the objects.",
                ),
                allow(
                    "FindLanding",
                    ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
                    [landing.bucket_arn],
                ),
                allow(
                    "Partition",
                    ["lambda:InvokeFunction", "lambda:GetFunctionConfiguration"],
                    [self._partition.arn],
                ),
                allow(
                    "WriteLogs",
                    ["logs:PutLogEvents"],
                    [settings.arn("logs", f"log-group:/aws/kinesisfirehose/{self._name}:log-stream:errors")],
                ),
                use_key(self._given.key.key_arn, write=True),
            ],
        )


def _write_landing(landing: s3.IBucket) -> Permission:
    return allow(
        "WriteLanding",
        ["s3:PutObject"],
        [landing.arn_for_objects("items/*"), landing.arn_for_objects("quarantine/source=items/*")],
        reason="Objects are named for the records in them.",
    )
