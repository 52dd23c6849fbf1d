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
)


def on_aws() -> Assembly:
    """As it would be deployed to an account."""
    return synthesized(ON_AWS, SHARED / "aws.cdk.out")


def with_feed(feed: str) -> Assembly:
    """As it would be deployed with a change feed that announces what it lands, and with the control plane
    under a name of its own."""
    return synthesized(replace(NAMED, change_feed=feed, resource_events=True), SHARED / f"aws-{feed}.cdk.out")


def template(assembly: Assembly) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(assembly.template_file.read_text())
    return body
