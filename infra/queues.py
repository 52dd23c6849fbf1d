"""A queue with its dead-letter queue, and the function that consumes it."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.settings import Settings

MAX_RECEIVES = 5
"""A message that five invocations could not deal with is looked at by a person."""


def dead_letter_queue(scope: Construct, id_: str, name: str, key: kms.IKey) -> sqs.Queue:
    """A queue for what nothing could deal with, kept for 14 days, encrypted with our key, TLS only."""
    return sqs.Queue(
        scope,
        id_,
        queue_name=name,
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
        retention_period=Duration.days(14),
        removal_policy=RemovalPolicy.DESTROY,
    )


class WorkQueue(Construct):
    """A queue encrypted with our key, TLS only; what fails repeatedly goes to `<name>-dlq` for 14 days."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        settings: Settings,
        key: kms.IKey,
        suffix: str,
        consumer_timeout: int,
    ) -> None:
        super().__init__(scope, id_)
        name = settings.name(suffix)
        self.dead_letters = dead_letter_queue(self, "DeadLetters", f"{name}-dlq", key)
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=name,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            enforce_ssl=True,
            # Six times the function's: what Lambda asks for, so that a retry never overlaps with a slow
            # attempt.
            visibility_timeout=Duration.seconds(6 * consumer_timeout),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=MAX_RECEIVES),
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.arn = settings.arn("sqs", name)

    def fed_by(self, rule_arn: str) -> None:
        """An EventBridge rule may send to the queue, and what cannot be delivered to its dead letters."""
        for queue in (self.queue, self.dead_letters):
            queue.add_to_resource_policy(
                iam.PolicyStatement(
                    sid="Events",
                    principals=[iam.ServicePrincipal("events.amazonaws.com")],
                    actions=["sqs:SendMessage"],
                    resources=[queue.queue_arn],
                    conditions={"ArnEquals": {"aws:SourceArn": rule_arn}},
                )
            )

    def consumed_by(
        self, function: lambda_.Function, *, batch_size: int = 1, window_seconds: int | None = None
    ) -> None:
        """Messages are delivered to the function, which reports those that it could not deal with. One an
        invocation where each is a step of its own; more, collected for a while, where they are alike."""
        lambda_.CfnEventSourceMapping(
            self,
            "Mapping",
            function_name=function.function_name,
            event_source_arn=self.queue.queue_arn,
            batch_size=batch_size,
            maximum_batching_window_in_seconds=window_seconds,
            function_response_types=["ReportBatchItemFailures"],
        )
