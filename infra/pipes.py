"""A pipe from a table's stream: what it reads, retries and gives up on, with a role of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_pipes as pipes
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.functions import Surroundings
from infra.pipe_record import EVERY_CHANGE
from infra.policies import Permission, allow, read_streams, role, use_key
from infra.vended_logs import vended_log_group

RETRY_ATTEMPTS = 10
"""As the direct sink's mapping: minutes of trouble at the target are ridden out."""

RECORD_AGE_SECONDS = 6 * 3600
"""As the direct sink's mapping. A pipe's dead letter says where the records are in the stream, which has
them for 18 more hours then: the time to look."""


@dataclass(frozen=True)
class Target:
    """Where a pipe delivers: ARN and parameters, and what its role may do for that.

    ``failures`` is the queue that is told of changes which the target never took: where they are in the
    stream, not what they are. ``enrichment`` is the ARN of a function that every batch passes through.
    """

    arn: str
    parameters: pipes.CfnPipe.PipeTargetParametersProperty
    permissions: Sequence[Permission]
    failures: sqs.IQueue
    enrichment: str | None = None


class StreamPipe(Construct):
    """One table's changes to one target, in order within an item."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        given: Surroundings,
        name: str,
        table: tuple[str, dynamodb.ITable],
        target: Target,
        *,
        batch_size: int,
        window_seconds: int,
    ) -> None:
        """``table`` is its name, and the table."""
        super().__init__(scope, id_)
        settings = given.settings
        table_name, source = table
        if source.table_stream_arn is None:
            raise ValueError(f"Table {table_name} has no stream to read changes from")
        self.arn = settings.arn("pipes", f"pipe/{name}")
        pipe_role = role(
            self,
            name,
            iam.ServicePrincipal(
                "pipes.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": settings.account, "aws:SourceArn": self.arn}
                },
            ),
            f"Role of pipe {name}",
            [
                allow(
                    "ReadStream",
                    ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
                    [settings.arn("dynamodb", f"table/{table_name}/stream/*")],
                    reason="A stream is named for the moment it was made, which a new one changes.",
                ),
                allow(
                    "FindStreams",
                    ["dynamodb:ListStreams"],
                    ["*"],
                    reason="The action knows no resource, and a pipe asks for it before it reads.",
                ),
                allow("GiveUp", ["sqs:SendMessage"], [target.failures.queue_arn]),
                *read_streams(settings),
                *target.permissions,
                use_key(given.key.key_arn, write=True),
            ],
        )
        group = vended_log_group(self, given, "pipes", name)
        pipes.CfnPipe(
            self,
            "Pipe",
            name=name,
            description=f"Changes of table {table_name}",
            role_arn=pipe_role.role_arn,
            source=source.table_stream_arn,
            source_parameters=pipes.CfnPipe.PipeSourceParametersProperty(
                filter_criteria=pipes.CfnPipe.FilterCriteriaProperty(
                    filters=[pipes.CfnPipe.FilterProperty(pattern=json.dumps(EVERY_CHANGE))]
                ),
                dynamo_db_stream_parameters=pipes.CfnPipe.PipeSourceDynamoDBStreamParametersProperty(
                    # From the oldest: nothing written between the table's making and the pipe's is passed
                    # over.
                    starting_position="TRIM_HORIZON",
                    batch_size=batch_size,
                    maximum_batching_window_in_seconds=window_seconds,
                    # One batch of a shard at a time; more keep the order within an item, but not the cost.
                    parallelization_factor=1,
                    maximum_retry_attempts=RETRY_ATTEMPTS,
                    maximum_record_age_in_seconds=RECORD_AGE_SECONDS,
                    # A change that the target never takes (too large, say) is found by halving, and the
                    # others of its batch go on.
                    on_partial_batch_item_failure="AUTOMATIC_BISECT",
                    dead_letter_config=pipes.CfnPipe.DeadLetterConfigProperty(arn=target.failures.queue_arn),
                ),
            ),
            enrichment=target.enrichment,
            target=target.arn,
            target_parameters=target.parameters,
            kms_key_identifier=given.key.key_arn,
            log_configuration=pipes.CfnPipe.PipeLogConfigurationProperty(
                cloudwatch_logs_log_destination=pipes.CfnPipe.CloudwatchLogsLogDestinationProperty(
                    log_group_arn=group.log_group_arn
                ),
                # Errors, and never the execution data: that is the item.
                level="ERROR",
            ),
        )


def short_name(table_name: str, prefix: str) -> str:
    """``site-activity`` of ``watershed-site-activity``: the prefix begins the pipe's name anyway."""
    return table_name.removeprefix(f"{prefix}-")
