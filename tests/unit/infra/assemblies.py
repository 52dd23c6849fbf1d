"""Synthesized once per change of the code, and shared by every test process of every run: it takes
seconds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.assembly import Assembly, synthesized
from infra.settings import Settings

SHARED = Path(__file__).parents[3] / ".watershed" / "test"

ON_AWS = Settings(
    account="123456789012",
    region="eu-west-1",
    healthlake_endpoint="https://healthlake.eu-west-1.amazonaws.com",
    healthlake_datastore_id="0123456789abcdef0123456789abcdef",
    # One table by each delivery, so that every construct is in the template that is checked.
    firehose_tables=("watershed-site-activity",),
)

NAMED = replace(
    ON_AWS,
    api_domain_name="api.example.org",
    api_certificate_arn="arn:aws:acm:eu-west-1:123456789012:certificate/0a1b2c3d-0000-4000-8000-0123456789ab",
    web_acl_arn="arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/w/0a1b2c3d-0000-4000-8000-0123456789ab",
    require_mfa=False,
    console=True,
    console_domain_name="lake.example.org",
    console_certificate_arn="arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d-0000-4000-8000-0123456789ab",
    console_web_acl_arn="arn:aws:wafv2:us-east-1:123456789012:global/webacl/w/0a1b2c3d-0000-4000-8000-0123456789ab",
)

_WITH_ANNOUNCEMENTS = replace(NAMED, resource_events=True)

VARIANTS = {
    "watershed": ON_AWS,
    "cloudtrail": replace(_WITH_ANNOUNCEMENTS, change_feed="cloudtrail", export_schedule_minutes=2880),
    "subscription": replace(_WITH_ANNOUNCEMENTS, change_feed="subscription"),
    # With a data store of its own, tables that are there already, somebody to tell, a de-identified twin, and
    # crawls by events, and runs by the clock.
    "joined": replace(
        ON_AWS,
        healthlake_datastore_id="new",
        existing_streams={
            "watershed-registry": "arn:aws:dynamodb:eu-west-1:123456789012:table/watershed-registry/stream/2026-01-01T00:00:00.000"
        },
        stream_key_arns=("arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555",),
        alarm_email="lake@example.org",
        deidentified_twin="shift",
        crawl="events",
        run_schedule="cron(0 5 * * ? *)",
        console=True,
    ),
}
"""The stacks that are synthesized and checked: together they hold every construct."""


LOCAL = Settings.local("http://127.0.0.1:1", "none", deidentified_twin="shift")
"""What is deployed on most emulators of tests. A folder is of one of these settings: with others it is made anew, under
whoever reads it in another process."""


def local() -> Assembly:
    return synthesized(LOCAL, SHARED / "local.cdk.out")


def variant(name: str) -> Assembly:
    return on_aws() if name == "watershed" else synthesized(VARIANTS[name], SHARED / f"aws-{name}.cdk.out")


def on_aws() -> Assembly:
    """As it would be deployed to an account."""
    return synthesized(ON_AWS, SHARED / "aws.cdk.out")


def with_feed(feed: str) -> Assembly:
    """As it would be deployed with a change feed that announces what it lands."""
    return variant(feed)


def template(assembly: Assembly) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(assembly.template_file.read_text())
    return body
