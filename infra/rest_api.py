"""The REST API, from its description: what it calls and as whom, throttling, logs, its own name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from aws_cdk import RemovalPolicy
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from infra.api.description import STAGE, Wiring, openapi
from infra.api.operations import OPERATIONS, START
from infra.functions import PackagedFunction, Surroundings
from infra.names import camel
from infra.policies import Permission, accept, allow, role
from infra.vended_logs import vended_log_group

_RATE, _BURST = 20, 40
"""Requests a second of all callers together, and how many may come at once."""

_START_RATE, _START_BURST = 1, 5
"""Of each method that starts or admits: what is behind it is slow and costs."""

_DAILY = 20_000

_LOGGED = {
    "request_id": "$context.requestId",
    "at": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "caller": "$context.authorizer.claims.sub",
    "method": "$context.httpMethod",
    # The path's pattern, never its values: an analyst's id has no place in a log.
    "resource": "$context.resourcePath",
    "status": "$context.status",
    "error": "$context.error.responseType",
    "ms": "$context.responseLatency",
}

_ACCEPTED = (
    ("APIGWCacheEnabledAndEncrypted", "Answers tell the state of things as it is now, so none is kept."),
    (
        "APIGWSSLEnabled",
        "Behind the API are services of AWS, which know its requests by their signatures: none asks for a"
        " certificate.",
    ),
)


class RestApi(Construct):
    """The API and its stage.

    `permissions` are those of the API's roles, by the names that operations use, and `variables` the stage's,
    which templates read. `functions` are by folder.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        given: Surroundings,
        user_pool_arn: str,
        permissions: Mapping[str, Sequence[Permission]],
        functions: Mapping[str, PackagedFunction],
        variables: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id_)
        self._given = given
        self._settings = settings = given.settings
        roles = {name: self._role(name, allowed) for name, allowed in permissions.items()}
        wiring = Wiring(
            settings.region,
            user_pool_arn,
            {name: each.role_arn for name, each in roles.items()},
            {name: each.arn for name, each in functions.items()},
        )
        # By names alone: the CDK's placeholders for ARNs are numbered anew in each synthesis.
        named = Wiring(
            settings.region, "", {each: each for each in roles}, {each: each for each in functions}
        )
        self.api = apigateway.CfnRestApi(
            self,
            "Api",
            name=settings.name("control"),
            body=openapi(wiring),
            endpoint_configuration=apigateway.CfnRestApi.EndpointConfigurationProperty(types=["REGIONAL"]),
            disable_execute_api_endpoint=bool(settings.api_domain_name),
            fail_on_warnings=False,
        )
        accept(
            self.api,
            "AwsSolutions-APIG2",
            "The description names a validator of bodies and parameters for every method.",
        )
        self.account = self._account()
        self.stage = self._stage(
            hashlib.sha256(json.dumps(openapi(named)).encode()).hexdigest()[:10], variables
        )
        for name, each in functions.items():
            lambda_.CfnPermission(
                self,
                f"Invoke{camel(name)}",
                action="lambda:InvokeFunction",
                function_name=each.arn,
                principal="apigateway.amazonaws.com",
                source_arn=settings.arn("execute-api", f"{self.api.ref}/*/GET/*"),
            )
        self._usage_plan()
        if settings.api_domain_name:
            self._domain()

    @property
    def url(self) -> str:
        """Where the API answers, without a slash at its end."""
        settings = self._settings
        if settings.api_domain_name:
            return f"https://{settings.api_domain_name}/{settings.api_base_path}"
        return f"https://{self.api.ref}.execute-api.{settings.region}.amazonaws.com/{STAGE}"

    def _role(self, name: str, permissions: Sequence[Permission]) -> iam.IRole:
        whole = self._settings.name(f"api-{name}")
        return role(
            Construct(self, camel(name)),
            whole,
            # The trust that the gateway's documentation gives: it is not said to tell for whom it asks.
            iam.ServicePrincipal("apigateway.amazonaws.com"),
            f"The control plane's API assumes this: {name.replace('-', ' ')}",
            permissions,
        )

    def _stage(self, version: str, variables: Mapping[str, str]) -> apigateway.CfnStage:
        # A deployment is a copy of the API as it is: a change of the description needs another one.
        deployment = apigateway.CfnDeployment(self, f"Deployment{version}", rest_api_id=self.api.ref)
        name = self._settings.name("control")
        group = vended_log_group(self, self._given, "apigateway", name)
        stage = apigateway.CfnStage(
            self,
            "Stage",
            rest_api_id=self.api.ref,
            deployment_id=deployment.ref,
            stage_name=STAGE,
            variables=dict(variables),
            tracing_enabled=True,
            access_log_setting=apigateway.CfnStage.AccessLogSettingProperty(
                destination_arn=group.log_group_arn, format=json.dumps(_LOGGED)
            ),
            method_settings=[_throttled("/*", "*", _RATE, _BURST), *_starting()],
        )
        stage.add_resource_dependency(self.account)
        for rule, reason in _ACCEPTED:
            accept(stage, f"HIPAA.Security::HIPAA.Security-{rule}", reason)
        if self._settings.web_acl_arn:
            wafv2.CfnWebACLAssociation(
                self,
                "WebAcl",
                resource_arn=f"arn:aws:apigateway:{self._settings.region}::/restapis/{self.api.ref}/stages/{STAGE}",
                web_acl_arn=self._settings.web_acl_arn,
            ).add_resource_dependency(stage)
        else:
            accept(
                stage, "AwsSolutions-APIG3", "The setting web_acl_arn associates an account's own web ACL."
            )
        return stage

    def _account(self) -> apigateway.CfnAccount:
        """API Gateway writes logs as one role for the whole account and region."""
        settings = self._settings
        writer = role(
            Construct(self, "Logging"),
            settings.name("api-logging"),
            iam.ServicePrincipal("apigateway.amazonaws.com"),
            "API Gateway assumes this to write logs",
            [
                allow(
                    "WriteLogs",
                    ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents",
                     "logs:GetLogEvents", "logs:FilterLogEvents"],
                    [settings.arn("logs", "log-group:*")],
                    reason="API Gateway names the groups of its execution logs, for every API of the account.",
                ),
                allow(
                    "FindLogs",
                    ["logs:DescribeLogGroups"],
                    ["*"],
                    reason="The action knows no resource.",
                ),
            ],
        )  # fmt: skip
        account = apigateway.CfnAccount(self, "Account", cloud_watch_role_arn=writer.role_arn)
        account.apply_removal_policy(RemovalPolicy.RETAIN)
        return account

    def _usage_plan(self) -> None:
        """For programs that are given a key to be counted by; the token decides what they may do."""
        plan = apigateway.CfnUsagePlan(
            self,
            "UsagePlan",
            usage_plan_name=self._settings.name("control"),
            description="What one caller with an API key may ask for",
            api_stages=[apigateway.CfnUsagePlan.ApiStageProperty(api_id=self.api.ref, stage=STAGE)],
            throttle=apigateway.CfnUsagePlan.ThrottleSettingsProperty(
                rate_limit=_RATE // 2, burst_limit=_BURST // 2
            ),
            quota=apigateway.CfnUsagePlan.QuotaSettingsProperty(limit=_DAILY, period="DAY"),
        )
        plan.add_resource_dependency(self.stage)

    def _domain(self) -> None:
        """Under a name of one's own, beside other APIs; the default endpoint is disabled then."""
        settings = self._settings
        domain = apigateway.CfnDomainName(
            self,
            "Domain",
            domain_name=settings.api_domain_name,
            regional_certificate_arn=settings.api_certificate_arn,
            security_policy="TLS_1_2",
            endpoint_configuration=apigateway.CfnDomainName.EndpointConfigurationProperty(types=["REGIONAL"]),
        )
        mapping = apigateway.CfnBasePathMapping(
            self,
            "BasePath",
            domain_name=domain.ref,
            base_path=settings.api_base_path,
            rest_api_id=self.api.ref,
            stage=STAGE,
        )
        mapping.add_resource_dependency(self.stage)


def _throttled(path: str, method: str, rate: int, burst: int) -> apigateway.CfnStage.MethodSettingProperty:
    return apigateway.CfnStage.MethodSettingProperty(
        resource_path=path,
        http_method=method,
        throttling_rate_limit=rate,
        throttling_burst_limit=burst,
        logging_level="ERROR",
        # Traces of data would put bodies into logs.
        data_trace_enabled=False,
        metrics_enabled=True,
    )


def _starting() -> list[apigateway.CfnStage.MethodSettingProperty]:
    return [
        _throttled(
            f"/{operation.path.replace('/', '~1')}", operation.method.upper(), _START_RATE, _START_BURST
        )
        for operation in OPERATIONS
        if operation.scope == START
    ]
