"""What S3 tells the crawlers: a queue for each, and the landing bucket's notifications that feed it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aws_cdk import Duration
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from crawlers import Crawler, EventQueue
from infra.alarm import Counted, Limit, alarm
from infra.functions import Surroundings
from infra.names import camel
from infra.policies import Permission, allow
from infra.queues import Keeping, dead_letter_queue, let_send, private_queue
from infra.storage import Storage

_RETENTION_DAYS = 14
"""SQS's limit. An event that is older is lost, and its partition missing until everything is crawled again."""

_WAITING_DAYS = 7
"""After which somebody should know that no crawl reads the events: half of what is left to them."""

_VISIBILITY_MINUTES = 15
"""For a crawl to add the partitions of the events that it read, before it deletes them. How long Glue takes is not
documented; a crawl that dies leaves its events to the one that starts after this time."""

_CHANGES = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
"""Removals too: AWS asks for them of crawlers whose partitions may be deleted."""

_READ = (
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ListDeadLetterSourceQueues",
    "sqs:ListQueueTags",
    "sqs:PurgeQueue",
    "sqs:ReceiveMessage",
    "sqs:SetQueueAttributes",
)
"""https://docs.aws.amazon.com/glue/latest/dg/crawler-s3-event-notifications.html"""


class CrawlEvents(Construct):
    """For each crawler, `<prefix>-<crawler>-events` and its dead letters. S3 sends to it itself: by a topic or
    itself is how Glue documents that events may come, and as EventBridge writes them is not."""

    def __init__(
        self, scope: Construct, id_: str, given: Surroundings, storage: Storage, crawlers: Iterable[Crawler]
    ) -> None:
        super().__init__(scope, id_)
        self._given = given
        self._queues = {each.name: self._queue(each) for each in crawlers}
        self.by_crawler = {
            name: EventQueue(queue.queue_arn, dead_letters.queue_arn)
            for name, (queue, dead_letters) in self._queues.items()
        }
        bucket = storage.landing.node.default_child
        assert isinstance(bucket, s3.CfnBucket)
        bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=[
                notification
                for each in crawlers
                for notification in _notifications(each, self.by_crawler[each.name].arn)
            ]
        )
        # S3 sends each queue a test before it takes the configuration: the queue and its policy must be there.
        bucket.node.add_dependency(*(queue for queue, _ in self._queues.values()))

    def _queue(self, crawler: Crawler) -> tuple[sqs.Queue, sqs.Queue]:
        settings, key = self._given.settings, self._given.key
        name = settings.name(crawler.event_queue)
        id_ = camel(crawler.name)
        dead_letters = dead_letter_queue(self, f"{id_}DeadLetters", f"{name}-dlq", key)
        retention, unseen = Duration.days(_RETENTION_DAYS), Duration.minutes(_VISIBILITY_MINUTES)
        queue = private_queue(self, id_, name, key, Keeping(retention, unseen, dead_letters))
        # By its name: the bucket itself waits for this policy.
        bucket = {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{settings.bucket('landing')}"}}
        own_account = {"StringEquals": {"aws:SourceAccount": settings.account}}
        let_send(queue, "Notifications", "s3", {**bucket, **own_account})
        return queue, dead_letters

    def permission(self) -> Permission:
        """What the crawlers' role needs besides, on these queues and no other."""
        return allow(
            "ReadEvents",
            _READ,
            [queue.queue_arn for both in self._queues.values() for queue in both],
        )

    def watch(self, topic: sns.Topic) -> None:
        """An alarm for each queue on events that nobody reads. Its dead letters have theirs as all others do."""
        for name, (queue, _) in self._queues.items():
            alarm(
                self,
                self._given.settings,
                topic,
                f"crawl-waits-{name}",
                f"No crawl of {name} has read S3's events for {_WAITING_DAYS} days; after {_RETENTION_DAYS} they are"
                " lost",
                Counted(
                    "AWS/SQS",
                    "ApproximateAgeOfOldestMessage",
                    {"QueueName": queue.queue_name},
                    "Maximum",
                ),
                Limit(_WAITING_DAYS * 86_400),
            )


def _notifications(crawler: Crawler, queue_arn: str) -> Iterator[s3.CfnBucket.QueueConfigurationProperty]:
    for prefix in crawler.event_prefixes:
        for event in _CHANGES:
            yield s3.CfnBucket.QueueConfigurationProperty(
                event=event,
                queue=queue_arn,
                filter=s3.CfnBucket.NotificationFilterProperty(
                    s3_key=s3.CfnBucket.S3KeyFilterProperty(
                        rules=[s3.CfnBucket.FilterRuleProperty(name="prefix", value=prefix)]
                    )
                ),
            )
