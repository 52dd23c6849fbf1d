"""The control plane's part of the template: who may call what, and what is kept of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from infra.api.operations import GROUPS, OPERATIONS, START
from infra.settings import SettingsError
from tests.unit.infra.assemblies import NAMED, ON_AWS, with_feed
from tests.unit.infra.assemblies import template as template_of

Resources = Callable[[str], dict[str, dict[str, Any]]]


def _only(resources: Resources, kind: str) -> dict[str, Any]:
    (found,) = resources(kind).values()
    return dict(found["Properties"])


def _statements(resources: Resources, role: str) -> dict[str, dict[str, Any]]:
    (found,) = (
        each["Properties"]
        for each in resources("AWS::IAM::Role").values()
        if each["Properties"]["RoleName"] == role
    )
    (policy,) = found["Policies"]
    return {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"]}


def test_every_method_asks_the_user_pool(resources: Resources) -> None:
    body = _only(resources, "AWS::ApiGateway::RestApi")["Body"]
    (scheme,) = body["components"]["securitySchemes"].values()
    (pool,) = resources("AWS::Cognito::UserPool")
    assert scheme["x-amazon-apigateway-authorizer"] == {
        "type": "cognito_user_pools",
        "providerARNs": [{"Fn::GetAtt": [pool, "Arn"]}],
    }
    for path, item in body["paths"].items():
        for method, operation in item.items():
            assert operation["security"], f"{method} {path} is open"


def test_a_role_starts_only_what_it_is_for(resources: Resources) -> None:
    exports = _statements(resources, "watershed-api-start-exports")
    assert exports == {
        "StartExports": {
            "Sid": "StartExports",
            "Effect": "Allow",
            "Action": "states:StartExecution",
            "Resource": ON_AWS.arn("states", "stateMachine:watershed-export"),
        }
    }
    (runs,) = _statements(resources, "watershed-api-start-runs").values()
    assert (runs["Action"], runs["Resource"]) == (
        "glue:StartWorkflowRun",
        ON_AWS.arn("glue", "workflow/watershed"),
    )
    read = json.dumps(_statements(resources, "watershed-api-read"))
    assert "Start" not in read
    (admit,) = _statements(resources, "watershed-api-admit").values()
    assert admit["Action"] == "states:StartSyncExecution"
    assert admit["Resource"] == [
        ON_AWS.arn("states", "stateMachine:watershed-admit-analyst"),
        ON_AWS.arn("states", "stateMachine:watershed-disable-analyst"),
    ]


def test_requests_are_throttled_counted_and_logged_without_bodies(resources: Resources) -> None:
    stage = _only(resources, "AWS::ApiGateway::Stage")
    settings = {(each["ResourcePath"], each["HttpMethod"]): each for each in stage["MethodSettings"]}
    everything = settings.pop(("/*", "*"))
    starting = {(f"/~1{each.path[1:]}", each.method.upper()) for each in OPERATIONS if each.scope == START}
    assert set(settings) == starting
    for each in (everything, *settings.values()):
        assert 0 < each["ThrottlingRateLimit"] <= 20
        assert each["DataTraceEnabled"] is False
        assert each["LoggingLevel"] == "ERROR"
    logged = json.loads(stage["AccessLogSetting"]["Format"])
    assert set(logged.values()).isdisjoint({"$context.path", "$context.authorizer.claims.email"})
    assert logged["status"] == "$context.status"
    plan = _only(resources, "AWS::ApiGateway::UsagePlan")
    assert plan["Throttle"]
    assert plan["Quota"]["Period"] == "DAY"


def test_a_changed_description_is_deployed(resources: Resources) -> None:
    """The deployment's id holds a hash of the description, so that another one is made."""
    (deployment,) = resources("AWS::ApiGateway::Deployment")
    assert _only(resources, "AWS::ApiGateway::Stage")["DeploymentId"] == {"Ref": deployment}


def test_nobody_signs_up_and_a_second_factor_is_asked_for(resources: Resources) -> None:
    pool = _only(resources, "AWS::Cognito::UserPool")
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert (pool["MfaConfiguration"], pool["EnabledMfas"]) == ("ON", ["SOFTWARE_TOKEN_MFA"])
    assert pool["LambdaConfig"]["PreTokenGenerationConfig"]["LambdaVersion"] == "V2_0"
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] >= 12
    groups = {each["Properties"]["GroupName"] for each in resources("AWS::Cognito::UserPoolGroup").values()}
    assert groups == set(GROUPS)
    client = _only(resources, "AWS::Cognito::UserPoolClient")
    assert client["GenerateSecret"] is False
    assert client["PreventUserExistenceErrors"] == "ENABLED"


def test_the_tables_are_read_without_their_rows(resources: Resources) -> None:
    read = _statements(resources, "watershed-list-tables")["ReadMetadata"]
    assert json.dumps(read["Resource"]).endswith('"/warehouse/*/metadata/*.json*"]]}')


def test_the_quarantine_is_counted_and_never_read(resources: Resources) -> None:
    allowed = _statements(resources, "watershed-list-quarantine")
    actions = {each["Action"] for each in allowed.values() if str(each["Action"]).startswith("s3:")}
    assert actions == {"s3:ListBucket"}
    assert allowed["ListQuarantine"]["Condition"] == {"StringEquals": {"s3:prefix": "quarantine/"}}


def test_only_exports_and_what_is_ours_of_glue_is_told_live(resources: Resources) -> None:
    (rule,) = (
        each["Properties"]
        for each in resources("AWS::Events::Rule").values()
        if each["Properties"]["Name"] == "watershed-live-outcomes"
    )
    assert rule["EventPattern"]["detail"] == {
        "jobName": [{"prefix": "watershed-"}, {"exists": False}],
        "databaseName": ["watershed_curated", {"exists": False}],
    }
    (target,) = rule["Targets"]
    assert target["DeadLetterConfig"]


def test_the_socket_writes_to_its_own_connections_and_logs_no_token(resources: Resources) -> None:
    (api,) = resources("AWS::ApiGatewayV2::Api")
    for role in ("watershed-keep-roster", "watershed-socket-publish"):
        resource = _statements(resources, role)["WriteToConnections"]["Resource"]
        assert {"Ref": api} in resource["Fn::Join"][1]
    stage = _only(resources, "AWS::ApiGatewayV2::Stage")
    logged = json.loads(stage["AccessLogSettings"]["Format"])
    assert not [each for each in logged.values() if "querystring" in each or "header" in each]
    assert stage["DefaultRouteSettings"]["DataTraceEnabled"] is False
    routes = {each["Properties"]["RouteKey"] for each in resources("AWS::ApiGatewayV2::Route").values()}
    assert routes == {"$connect", "$disconnect", "$default"}


def test_under_a_name_of_its_own_the_default_endpoint_is_off() -> None:
    body = template_of(with_feed("cloudtrail"))
    found = {each["Type"]: each["Properties"] for each in body["Resources"].values()}
    assert found["AWS::ApiGateway::RestApi"]["DisableExecuteApiEndpoint"] is True
    assert found["AWS::ApiGateway::BasePathMapping"]["BasePath"] == "watershed"
    assert found["AWS::ApiGateway::DomainName"]["SecurityPolicy"] == "TLS_1_2"
    assert found["AWS::WAFv2::WebACLAssociation"]["WebACLArn"] == NAMED.web_acl_arn
    assert found["AWS::Cognito::UserPool"]["MfaConfiguration"] == "OFF"
    assert body["Outputs"]["ControlApiUrl"]["Value"] == "https://api.example.org/watershed"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("api_domain_name", {"api_domain_name": "https://api.example.org", "api_certificate_arn": "arn:c"}),
        ("api_certificate_arn", {"api_certificate_arn": "arn:c"}),
        ("api_base_path", {"api_base_path": "a/b"}),
    ],
)
def test_a_name_that_cannot_be_is_refused(name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=name):
        replace(ON_AWS, **changes)
