"""What differs between one deployment and another. Everything else about the stack is in the constructs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

LOCAL_ACCOUNT = "000000000000"
LOCAL_REGION = "us-east-1"

NEW_DATASTORE = "new"
"""Instead of a data store's id: make one."""

BUCKETS = ("landing", "lake", "exports", "results", "docs", "failures", "logs")
"""What each bucket is for, and the second part of its name."""
CONSOLE_BUCKETS = ("console", "console-logs")
"""Those that there are besides, where the console is served."""

TWINS = ("none", "shift", "year")
CRAWLS = ("everything", "events")
CHANGE_FEEDS = ("none", "cloudtrail", "subscription")
_LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 3653)


class SettingsError(ValueError):
    """Raised when settings are missing or out of range; the message names each and what it may be. ``name`` is that
    of the first."""

    def __init__(self, name: str, problem: str, *others: tuple[str, str]) -> None:
        self.name = name
        told = ((name, problem), *others)
        super().__init__("\n".join(f"Setting {each}: {what}" for each, what in told))

    @classmethod
    def unless_none(cls, problems: Sequence[tuple[str, str]]) -> None:
        """Raise them all as one, if there are any: pairs of a setting's name and what is wrong with it."""
        if problems:
            raise cls(*problems[0], *problems[1:])


@dataclass(frozen=True)
class Settings:
    """One deployment.

    Attributes
    ----------
    account, region : where it is deployed; twelve digits, and a region's name
    healthlake_endpoint : URL whose `/datastore/{id}/r4/` the functions call
    healthlake_datastore_id : the data store exported from, 32 characters; `new` makes one with the stack
    prefix : begins the name of every resource, and is the stack's name
    export_schedule_minutes : how often an incremental export starts
    export_schedule_enabled : whether it starts by itself
    run_schedule : when the workflow runs besides, as a `rate(…)` or `cron(…)` of EventBridge Scheduler in UTC; never,
        where it is empty: it runs after each export
    landing_window_seconds : how long a batch of item changes is collected. Each batch is an object or a few: a
        longer window makes fewer, larger objects and costs as much latency
    poll_delay_seconds : pause between two looks at an export job's status
    export_lease_seconds : after which a dead export's lock may be taken over
    resource_events : whether an incremental export, and a change feed, announces each of its resources on the
        event bus
    change_feed : how changes land between exports: `none`, `cloudtrail` or `subscription`. `none` unless
        chosen: either feed needs something of HealthLake's side that this stack cannot make (a trail of its
        data events, or a Subscription in the data store), and exports alone are right, only later
    change_window_seconds : calls on one type that are noticed within this time lead to one search
    search_settle_seconds : how long after that the search waits, for HealthLake's index to catch up
    search_overlap_seconds : how far a search reaches back beyond the earliest call
    delete_window_seconds : deletions of one type within this time lead to one listing of the type
    delete_margin_seconds : a listing judges nothing younger; longer than HealthLake's index ever lags
    delete_max_resources : a type with more is not listed; the next full export finds what is gone
    retain_data : whether buckets, tables and keys outlive the stack
    log_retention_days : how long function logs are kept
    landing_transition_days : after which landed objects move to infrequent access
    crawl : what a crawl looks at: `everything` that has landed, or the folders that S3's `events` name
    glue_workers : workers of each Glue job, 2 or more
    athena_cutoff_bytes : a query that scans more is stopped; at least 10,000,000
    firehose_tables : names of the item tables whose changes Firehose delivers; the direct sink delivers
        those of all others
    fan_out : whether changes are also told on the event bus
    existing_streams : the ARN of the stream of each item table that exists already, by the table's name; the
        stack makes all others
    stream_key_arns : the KMS keys of those tables, where they have keys of their own
    alarm_email : is written to when an alarm rings and when a run ends; nobody is, where it is empty
    require_mfa : whether signing in to the control plane asks for a code from an app
    api_domain_name, api_certificate_arn : a name of one's own for the control plane, with its certificate in
        the same region; the default endpoint is disabled then
    api_base_path : the first part of the path under that name, beside other APIs
    web_acl_arn : a regional WAF web ACL to be put before the control plane
    deidentified_twin : whether the curated tables are also kept without what identifies patients, in
        `watershed_curated_deid`, with dates shifted by patient (`shift`) or cut to their year (`year`)
    console : whether the console's page is served from a bucket, by CloudFront
    console_domain_name, console_certificate_arn : a name of one's own for it, with its certificate, which
        CloudFront takes from us-east-1
    console_web_acl_arn : a global WAF web ACL, of us-east-1, to be put before it
    """

    account: str
    region: str
    healthlake_endpoint: str
    healthlake_datastore_id: str
    prefix: str = "watershed"
    export_schedule_minutes: int = 5
    export_schedule_enabled: bool = True
    run_schedule: str = ""
    landing_window_seconds: int = 5
    poll_delay_seconds: int = 30
    export_lease_seconds: int = 3600
    resource_events: bool = False
    change_feed: str = "none"
    change_window_seconds: int = 60
    search_settle_seconds: int = 60
    search_overlap_seconds: int = 300
    delete_window_seconds: int = 900
    delete_margin_seconds: int = 300
    delete_max_resources: int = 50_000
    retain_data: bool = True
    log_retention_days: int = 90
    landing_transition_days: int = 30
    crawl: str = "everything"
    glue_workers: int = 2
    athena_cutoff_bytes: int = 100_000_000_000
    firehose_tables: tuple[str, ...] = ()
    fan_out: bool = True
    existing_streams: Mapping[str, str] = field(default_factory=dict)
    stream_key_arns: tuple[str, ...] = ()
    alarm_email: str = ""
    require_mfa: bool = True
    api_domain_name: str = ""
    api_certificate_arn: str = ""
    api_base_path: str = "watershed"
    web_acl_arn: str = ""
    deidentified_twin: str = "none"
    console: bool = False
    console_domain_name: str = ""
    console_certificate_arn: str = ""
    console_web_acl_arn: str = ""

    def __post_init__(self) -> None:
        # JSON has no tuples.
        for name in ("firehose_tables", "stream_key_arns"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        checks: dict[str, tuple[bool, str]] = {
            "account": (bool(re.fullmatch(r"\d{12}", self.account)), "must be twelve digits"),
            "region": (
                bool(re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", self.region)),
                "must be a region, such as eu-west-1",
            ),
            "healthlake_endpoint": (
                bool(re.fullmatch(r"https?://[^/\s]+", self.healthlake_endpoint)),
                "must be a URL without a path, such as https://healthlake.eu-west-1.amazonaws.com",
            ),
            "healthlake_datastore_id": (
                bool(re.fullmatch(r"[A-Za-z0-9]{1,64}", self.healthlake_datastore_id)),
                f"must be the id of a HealthLake data store, or {NEW_DATASTORE!r} to have one made",
            ),
            "prefix": (
                bool(re.fullmatch(r"[a-z][a-z0-9-]{1,18}[a-z0-9]", self.prefix)),
                "must be 3 to 20 lower-case letters, digits and hyphens: it begins bucket names",
            ),
            "export_schedule_minutes": (self.export_schedule_minutes >= 1, "must be at least 1"),
            "run_schedule": (
                bool(
                    re.fullmatch(
                        r"(rate\(\d+ (minute|hour|day)s?\)|cron\(\S+( \S+){5}\))?", self.run_schedule
                    )
                ),
                "must be rate(… minutes), cron(…) of six fields, or empty",
            ),
            "poll_delay_seconds": (
                0 <= self.poll_delay_seconds <= 900,
                "must be 0 to 900, what SQS can delay",
            ),
            "landing_window_seconds": (
                0 <= self.landing_window_seconds <= 300,
                "must be 0 to 300, what a mapping can wait",
            ),
            "export_lease_seconds": (self.export_lease_seconds >= 60, "must be at least 60"),
            "deidentified_twin": (self.deidentified_twin in TWINS, f"must be one of {', '.join(TWINS)}"),
            "crawl": (self.crawl in CRAWLS, f"must be one of {', '.join(CRAWLS)}"),
            "change_feed": (self.change_feed in CHANGE_FEEDS, f"must be one of {', '.join(CHANGE_FEEDS)}"),
            **{
                name: (getattr(self, name) >= 1, "must be at least 1")
                for name in (
                    "change_window_seconds",
                    "search_settle_seconds",
                    "search_overlap_seconds",
                    "delete_window_seconds",
                    "delete_margin_seconds",
                    "delete_max_resources",
                )
            },
            "log_retention_days": (
                self.log_retention_days in _LOG_RETENTION_DAYS,
                f"must be one of {', '.join(map(str, _LOG_RETENTION_DAYS))}, what CloudWatch Logs knows",
            ),
            "landing_transition_days": (
                self.landing_transition_days >= 30,
                "must be at least 30, what S3 asks before STANDARD_IA",
            ),
            "glue_workers": (self.glue_workers >= 2, "must be at least 2: a driver and an executor"),
            "athena_cutoff_bytes": (self.athena_cutoff_bytes >= 10_000_000, "must be at least 10000000"),
            "firehose_tables": (
                all(re.fullmatch(r"[A-Za-z0-9_.-]{3,255}", each) for each in self.firehose_tables),
                "must be names of tables, separated by commas",
            ),
            "existing_streams": (
                all(
                    re.fullmatch(
                        rf"arn:[\w-]+:dynamodb:{self.region}:{self.account}:table/{name}/stream/.+", arn
                    )
                    for name, arn in self.existing_streams.items()
                ),
                "must be the ARN of each table's stream, in this account and region, by the table's name",
            ),
            "stream_key_arns": (
                all(re.fullmatch(r"arn:[\w-]+:kms:.+:key/.+", each) for each in self.stream_key_arns),
                "must be ARNs of KMS keys, not aliases",
            ),
            "alarm_email": (
                bool(re.fullmatch(r"([^@\s]+@[^@\s]+\.[^@\s]+)?", self.alarm_email)),
                "must be an address, or empty",
            ),
            "api_domain_name": (
                not self.api_domain_name
                or bool(re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", self.api_domain_name)),
                "must be a domain name, such as api.example.org",
            ),
            "api_certificate_arn": (
                bool(
                    re.fullmatch(
                        rf"arn:[\w-]+:acm:{self.region}:{self.account}:certificate/.+"
                        if self.api_domain_name
                        else "",
                        self.api_certificate_arn,
                    )
                ),
                "must be the ARN of a certificate in this account and region, with api_domain_name and only with it",
            ),
            "web_acl_arn": (
                bool(
                    re.fullmatch(
                        rf"(arn:[\w-]+:wafv2:{self.region}:{self.account}:regional/webacl/.+)?",
                        self.web_acl_arn,
                    )
                ),
                "must be the ARN of a regional web ACL in this account and region, or empty",
            ),
            "api_base_path": (
                bool(re.fullmatch(r"[A-Za-z0-9_-]+", self.api_base_path)),
                "must be one part of a path: letters, digits, hyphens and underscores",
            ),
            "console_domain_name": (
                not self.console_domain_name
                or (
                    self.console
                    and bool(re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", self.console_domain_name))
                ),
                "must be a domain name, such as lake.example.org, and console true",
            ),
            "console_certificate_arn": (
                bool(self.console_certificate_arn) == bool(self.console_domain_name)
                and bool(re.fullmatch(r"(arn:[\w-]+:acm:us-east-1:.+)?", self.console_certificate_arn)),
                "must be given with console_domain_name, and only with it: the ARN of a certificate in us-east-1",
            ),
            "console_web_acl_arn": (
                bool(
                    re.fullmatch(
                        r"(arn:[\w-]+:wafv2:us-east-1:\d{12}:global/webacl/.+)?", self.console_web_acl_arn
                    )
                ),
                "must be the ARN of a web ACL of CloudFront's scope, which is in us-east-1",
            ),
        }
        SettingsError.unless_none(
            [
                (name, f"{getattr(self, name)!r} {problem}")
                for name, (holds, problem) in checks.items()
                if not holds
            ]
        )

    @classmethod
    def local(cls, healthlake_endpoint: str, datastore_id: str, **changes: Any) -> Self:
        """Settings of the emulator: no schedule (`watershed export` starts one), short waits, nothing
        retained, nobody to tell of changes, and no second factor."""
        local: dict[str, Any] = {
            "export_schedule_enabled": False,
            "landing_window_seconds": 1,
            "poll_delay_seconds": 1,
            "change_window_seconds": 1,
            "search_settle_seconds": 1,
            "delete_window_seconds": 2,
            "delete_margin_seconds": 1,
            "retain_data": False,
            "log_retention_days": 7,
            "fan_out": False,
            "require_mfa": False,
            **changes,
        }
        return cls(LOCAL_ACCOUNT, LOCAL_REGION, healthlake_endpoint, datastore_id, **local)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], in_file: Mapping[str, Any] | None = None
    ) -> Self:
        """Settings of an account on AWS: those of the file, and over them each `WATERSHED_<NAME>`, such as
        `WATERSHED_REGION`.

        Raises
        ------
        SettingsError : some are missing or wrong
        """
        given: dict[str, Any] = {**(in_file or {}), **cls.in_variables(environment)}
        for name, variable in (("account", "CDK_DEFAULT_ACCOUNT"), ("region", "CDK_DEFAULT_REGION")):
            if variable in environment:
                given.setdefault(name, environment[variable])
        if "region" in given:
            given.setdefault("healthlake_endpoint", f"https://healthlake.{given['region']}.amazonaws.com")
        SettingsError.unless_none(
            [
                (name, f"is missing; put it into the settings file, or set WATERSHED_{name.upper()}")
                for name in ("account", "region", "healthlake_datastore_id")
                if name not in given
            ]
        )
        return cls(**given)

    @classmethod
    def in_variables(cls, environment: Mapping[str, str]) -> dict[str, Any]:
        """The settings that `WATERSHED_<NAME>` variables give, by name. Raises SettingsError."""
        texts = {each: environment.get(f"WATERSHED_{each.name.upper()}") for each in fields(cls)}
        return {
            each.name: _parsed(each.name, str(each.type), text)
            for each, text in texts.items()
            if text is not None
        }

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def makes_datastore(self) -> bool:
        return self.healthlake_datastore_id == NEW_DATASTORE

    @property
    def crawls_by_events(self) -> bool:
        return self.crawl == "events"

    @property
    def has_twin(self) -> bool:
        return self.deidentified_twin != "none"

    @property
    def metrics_namespace(self) -> str:
        """Where in CloudWatch the jobs' own figures are: `Watershed/<prefix>`."""
        return f"Watershed/{self.prefix}"

    def name(self, suffix: str) -> str:
        """`watershed-<suffix>`."""
        return f"{self.prefix}-{suffix}"

    def bucket(self, purpose: str) -> str:
        """`watershed-<purpose>-<account>-<region>`: bucket names are global.

        Raises
        ------
        KeyError : there is no bucket for that purpose
        """
        if purpose not in (*BUCKETS, *CONSOLE_BUCKETS):
            raise KeyError(purpose)
        return f"{self.prefix}-{purpose}-{self.account}-{self.region}"

    def database(self, zone: str) -> str:
        """`watershed_<zone>`: hyphens need quoting in SQL."""
        return f"{self.prefix.replace('-', '_')}_{zone}"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of this account, by its name."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


def _parsed(name: str, kind: str, text: str) -> Any:
    if kind.startswith("Mapping"):
        raise SettingsError(name, "can be given in the settings file only")
    if kind.startswith("tuple"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind == "bool":
        if text.lower() not in ("true", "false"):
            raise SettingsError(name, f"{text!r} must be true or false")
        return text.lower() == "true"
    if kind == "int":
        try:
            return int(text)
        except ValueError:
            raise SettingsError(name, f"{text!r} must be a whole number") from None
    return text
