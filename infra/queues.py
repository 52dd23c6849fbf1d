"""A queue with its dead-letter queue, and the function that consumes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.settings import Settings

MAX_RECEIVES = 5
"""A message that five invocations could not deal with is looked at by a person."""


@dataclass(frozen=True)
class Keeping:
    """How a queue keeps its messages: for how long (None: SQS's four days), out of sight how long once received, and
    where those go that were received too often."""

    retention: Duration | None = None
    visibility: Duration | None = None
    dead_letters: sqs.Queue | None = None


def private_queue(scope: Construct, id_: str, name: str, key: kms.IKey, keeping: Keeping) -> sqs.Queue:
    """A queue encrypted with our key, TLS only."""
    letters = keeping.dead_letters
    return sqs.Queue(
        scope,
        id_,
        queue_name=name,
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
        retention_period=keeping.retention,
        visibility_timeout=keeping.visibility,
        dead_letter_queue=sqs.DeadLetterQueue(queue=letters, max_receive_count=MAX_RECEIVES)
        if letters
        else None,
        removal_policy=RemovalPolicy.DESTROY,
    )


def dead_letter_queue(scope: Construct, id_: str, name: str, key: kms.IKey) -> sqs.Queue:
    """A queue for what nothing could deal with, kept for 14 days."""
    return private_queue(scope, id_, name, key, Keeping(retention=Duration.days(14)))


def let_send(queue: sqs.Queue, sid: str, service: str, conditions: Mapping[str, Mapping[str, str]]) -> None:
    """A service of AWS may send to the queue, under the conditions."""
    queue.add_to_resource_policy(
        iam.PolicyStatement(
            sid=sid,
            principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
            actions=["sqs:SendMessage"],
            resources=[queue.queue_arn],
            conditions=conditions,
        )
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
        # Six times the function's: what Lambda asks for, so that a retry never overlaps with a slow attempt.
        unseen = Duration.seconds(6 * consumer_timeout)
        keeping = Keeping(visibility=unseen, dead_letters=self.dead_letters)
        self.queue = private_queue(self, "Queue", name, key, keeping)
        self.arn = settings.arn("sqs", name)

    def fed_by(self, rule_arn: str) -> None:
        """An EventBridge rule may send to the queue, and what cannot be delivered to its dead letters."""
        for queue in (self.queue, self.dead_letters):
            let_send(queue, "Events", "events", {"ArnEquals": {"aws:SourceArn": rule_arn}})

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
