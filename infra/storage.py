"""The key, and the buckets: encrypted, private, TLS only, versioned, logged, with lifecycles."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.policies import accept
from infra.settings import Settings

_NOT_REPLICATED = (
    "HIPAA.Security::HIPAA.Security-S3BucketReplicationEnabled",
    "Health data stays in the region that the settings name, and is erased on request in one place. Versions guard"
    " against mistakes; the lake can be built anew from the sources and the landing zone.",
)


def removal(settings: Settings) -> RemovalPolicy:
    return RemovalPolicy.RETAIN if settings.retain_data else RemovalPolicy.DESTROY


class Encryption(Construct):
    """One key for everything that holds health data, and who besides the account's roles may use it."""

    def __init__(self, scope: Construct, id_: str, settings: Settings) -> None:
        super().__init__(scope, id_)
        self.key = kms.Key(
            self,
            "Key",
            alias=f"alias/{settings.name('data')}",
            description="Watershed: buckets, tables, queues, topics and logs that hold health data",
            enable_key_rotation=True,
            removal_policy=removal(settings),
        )
        # Services that write on their own behalf need the key's own policy; each only for this account.
        own_account = {"StringEquals": {"aws:SourceAccount": settings.account}}
        services = ["events.amazonaws.com", "sns.amazonaws.com", "cloudwatch.amazonaws.com"]
        if settings.crawls_by_events:
            services.append("s3.amazonaws.com")
        for service in services:
            self.key.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=f"Use{service.split('.', maxsplit=1)[0].capitalize()}",
                    principals=[iam.ServicePrincipal(service)],
                    actions=["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"],
                    resources=["*"],
                    conditions=own_account,
                )
            )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="UseLogs",
                principals=[iam.ServicePrincipal(f"logs.{settings.region}.amazonaws.com")],
                actions=["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"],
                resources=["*"],
                conditions={
                    "ArnLike": {"kms:EncryptionContext:aws:logs:arn": settings.arn("logs", "log-group:*")}
                },
            )
        )


class Storage(Construct):
    """The buckets of the lake."""

    def __init__(self, scope: Construct, id_: str, settings: Settings, key: kms.IKey) -> None:
        super().__init__(scope, id_)
        self._settings = settings
        self._key = key
        self.logs = self._logs_bucket()
        # Landing is the only copy of a change once the stream has forgotten it: it is kept, and moves to
        # colder storage once the jobs have read it.
        self.landing = self._bucket(
            "landing",
            [
                s3.LifecycleRule(
                    id="colder",
                    transitions=[
                        s3.Transition(
                            storage_class=s3.StorageClass.INFREQUENT_ACCESS,
                            transition_after=Duration.days(settings.landing_transition_days),
                        )
                    ],
                )
            ],
        )
        self.lake = self._bucket("lake", [])
        self.exports = self._bucket(
            "exports",
            [
                # What was exported has been copied to landing; the manifests tell the history of exports.
                s3.LifecycleRule(id="exported", prefix="exports/", expiration=Duration.days(30)),
                s3.LifecycleRule(id="items", prefix="AWSDynamoDB/", expiration=Duration.days(30)),
                s3.LifecycleRule(id="manifests", prefix="manifests/", expiration=Duration.days(365)),
            ],
        )
        self.results = self._bucket("results", [s3.LifecycleRule(id="results", expiration=Duration.days(14))])
        self.docs = self._bucket("docs", [s3.LifecycleRule(id="docs", expiration=Duration.days(365))])
        # Changes that could not be written, as Lambda parks them: they wait for a replay.
        self.failures = self._bucket("failures", [])

    def _bucket(self, purpose: str, rules: Sequence[s3.LifecycleRule]) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            purpose.capitalize(),
            bucket_name=self._settings.bucket(purpose),
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self._key,
            # Cuts calls to KMS, which are billed, by as much as the bucket is busy.
            bucket_key_enabled=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            server_access_logs_bucket=self.logs,
            server_access_logs_prefix=f"{purpose}/",
            lifecycle_rules=[*_housekeeping(), *rules],
            removal_policy=removal(self._settings),
        )
        accept(bucket, *_NOT_REPLICATED)
        return bucket

    def _logs_bucket(self) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Logs",
            bucket_name=self._settings.bucket("logs"),
            # Access logs name keys, never contents. S3's log delivery to the same account's SSE-S3 bucket
            # needs no grant on the data key, which keeps that key's policy short.
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            lifecycle_rules=[*_housekeeping(), s3.LifecycleRule(id="logs", expiration=Duration.days(365))],
            removal_policy=removal(self._settings),
        )
        accept(
            bucket, "AwsSolutions-S1", "This bucket receives the access logs: logging itself would not end."
        )
        accept(
            bucket,
            "HIPAA.Security::HIPAA.Security-S3DefaultEncryptionKMS",
            "Access logs name keys, never contents, and are encrypted with S3's own key.",
        )
        accept(bucket, *_NOT_REPLICATED)
        return bucket


def _housekeeping() -> list[s3.LifecycleRule]:
    return [
        s3.LifecycleRule(
            id="housekeeping",
            abort_incomplete_multipart_upload_after=Duration.days(3),
            noncurrent_version_expiration=Duration.days(30),
        )
    ]
