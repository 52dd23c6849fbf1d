"""The console on AWS: who can read the bucket, what CloudFront sends and passes on."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from infra.console import _WITHOUT_API_PATH
from infra.node import use_packaged_node
from infra.settings import SettingsError
from tests.unit.infra.assemblies import NAMED, ON_AWS, template, variant


@pytest.fixture(scope="module")
def named() -> dict[str, Any]:
    """Under names of one's own, page and API, with web ACLs."""
    return dict(template(variant("cloudtrail"))["Resources"])


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    """Under the names that CloudFront and the gateway give."""
    return dict(template(variant("joined"))["Resources"])


def _only(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = (each["Properties"] for each in resources.values() if each["Type"] == kind)
    return dict(found)


def _bucket(resources: dict[str, Any], purpose: str) -> tuple[str, dict[str, Any]]:
    name = ON_AWS.bucket(purpose)
    ((logical, found),) = (
        (logical, each["Properties"])
        for logical, each in resources.items()
        if each["Type"] == "AWS::S3::Bucket" and each["Properties"]["BucketName"] == name
    )
    return logical, found


def _distribution(resources: dict[str, Any]) -> dict[str, Any]:
    return dict(_only(resources, "AWS::CloudFront::Distribution")["DistributionConfig"])


def test_only_this_distribution_reads_the_bucket(plain: dict[str, Any]) -> None:
    logical, bucket = _bucket(plain, "console")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    statements = [
        statement
        for each in plain.values()
        if each["Type"] == "AWS::S3::BucketPolicy" and each["Properties"]["Bucket"] == {"Ref": logical}
        for statement in each["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
    ]
    (allowed,) = statements
    assert (allowed["Action"], allowed["Principal"]) == (
        "s3:GetObject",
        {"Service": "cloudfront.amazonaws.com"},
    )
    assert "distribution/" in json.dumps(allowed["Condition"]["StringEquals"]["AWS:SourceArn"])
    (page,) = (each for each in _distribution(plain)["Origins"] if "S3OriginConfig" in each)
    assert page["OriginAccessControlId"]


def test_the_api_is_passed_on_whole_and_nothing_of_it_is_kept(plain: dict[str, Any]) -> None:
    (behavior,) = _distribution(plain)["CacheBehaviors"]
    assert behavior["PathPattern"] == "/api/*"
    assert behavior["ViewerProtocolPolicy"] == "https-only"
    # The ids of AWS's own policies CachingDisabled and AllViewerExceptHostHeader.
    assert behavior["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    assert behavior["OriginRequestPolicyId"] == "b689b0a8-53d0-40ab-baf2-68738e2966ac"
    assert "POST" in behavior["AllowedMethods"]
    (api,) = (each for each in _distribution(plain)["Origins"] if "CustomOriginConfig" in each)
    assert api["OriginPath"] == "/v1"
    assert api["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"


def test_an_api_with_a_name_of_its_own_is_asked_under_it(named: dict[str, Any]) -> None:
    (api,) = (each for each in _distribution(named)["Origins"] if "CustomOriginConfig" in each)
    assert (api["DomainName"], api["OriginPath"]) == ("api.example.org", "/watershed")


def test_answers_carry_the_policy_of_the_page(plain: dict[str, Any]) -> None:
    config = _only(plain, "AWS::CloudFront::ResponseHeadersPolicy")["ResponseHeadersPolicyConfig"]
    headers = config["SecurityHeadersConfig"]
    policy = json.dumps(headers["ContentSecurityPolicy"]["ContentSecurityPolicy"])
    assert "script-src 'self'" in policy
    assert "https://cognito-idp.eu-west-1.amazonaws.com wss://" in policy
    assert "unsafe" not in policy
    assert headers["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 365 * 86400
    behaviors = [_distribution(plain)["DefaultCacheBehavior"], *_distribution(plain)["CacheBehaviors"]]
    assert all(each["ResponseHeadersPolicyId"] for each in behaviors)


def test_a_name_of_ones_own_takes_new_tls_only_and_a_web_acl_stands_before_it(
    named: dict[str, Any], plain: dict[str, Any]
) -> None:
    config = _distribution(named)
    assert config["Aliases"] == ["lake.example.org"]
    assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
    assert config["WebACLId"] == NAMED.console_web_acl_arn
    assert "WebACLId" not in _distribution(plain)
    for each in (named, plain):
        assert _distribution(each)["Logging"]["Bucket"]
        assert _distribution(each)["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "redirect-to-https"


def test_there_is_no_console_unless_it_is_asked_for(resources: Any, template: dict[str, Any]) -> None:
    kinds = {each["Type"] for each in template["Resources"].values()}
    assert not [kind for kind in kinds if "CloudFront" in kind]
    assert "ConsoleUrl" not in template["Outputs"]


@pytest.mark.parametrize(
    ("asked", "passed"), [("/api/exports", "/exports"), ("/api/runs/wr_1", "/runs/wr_1"), ("/api", "/")]
)
def test_what_the_page_asks_of_its_server_reaches_the_path_of_the_api(asked: str, passed: str) -> None:
    program = f"{_WITHOUT_API_PATH}console.log(handler({{request: {{uri: {json.dumps(asked)}}}}}).uri);"
    ran = subprocess.run(
        [str(use_packaged_node() / "node"), "-e", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == passed


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("console_domain_name", {"console_domain_name": "lake.example.org", "console_certificate_arn": "x"}),
        ("console_certificate_arn", {"console": True, "console_domain_name": "lake.example.org"}),
        (
            "console_certificate_arn",
            {
                "console": True,
                "console_domain_name": "lake.example.org",
                "console_certificate_arn": "arn:aws:acm:eu-west-1:123456789012:certificate/x",
            },
        ),
        ("console_web_acl_arn", {"console_web_acl_arn": NAMED.web_acl_arn}),
    ],
)
def test_what_cloudfront_would_refuse_is_refused_here(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=name):
        replace(ON_AWS, **changes)
