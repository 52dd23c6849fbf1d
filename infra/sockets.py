"""Live outcomes: the WebSocket API, its roster, and what tells everyone how exports and jobs ended,
and which tables changed."""

from __future__ import annotations

import json

from aws_cdk import CfnResource
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.access import Access
from infra.api.description import RESOURCE_SERVER, STAGE
from infra.api.operations import READ
from infra.functions import PackagedFunction, Surroundings
from infra.item_tables import table
from infra.policies import Permission, accept, allow, consume
from infra.queues import WorkQueue
from infra.vended_logs import vended_log_group

_ROUTES = {"Connect": "$connect", "Disconnect": "$disconnect", "Default": "$default"}

_RATE, _BURST = 50, 100

_PUBLISH_TIMEOUT_SECONDS = 60
_BATCH = 10

_LOGGED = {
    "request_id": "$context.requestId",
    "at": "$context.requestTime",
    "ip": "$context.identity.sourceIp",
    "route": "$context.routeKey",
    "connection": "$context.connectionId",
    "status": "$context.status",
    "error": "$context.error.responseType",
}


class Sockets(Construct):
    """The WebSocket API. `$connect` asks for an access token; the other routes are of connections that had one.
    It logs once the account lets it, by `logging`."""

    def __init__(
        self, scope: Construct, id_: str, given: Surroundings, access: Access, logging: CfnResource
    ) -> None:
        super().__init__(scope, id_)
        self._given = given
        self._settings = settings = given.settings
        self.roster = table(
            self,
            "Roster",
            settings.name("connections"),
            (("connectionId", "S"),),
            settings,
            given.key,
            stream=False,
        )
        self.api = apigateway.CfnApi(
            self,
            "Api",
            name=settings.name("live"),
            description="How exports and jobs end, as they end",
            protocol_type="WEBSOCKET",
            route_selection_expression="$request.body.action",
        )
        self._routes(self._keep_roster(access), logging)
        queue = self._outcomes()
        publish = PackagedFunction(
            self,
            "Publish",
            given,
            "socket_publish",
            {
                "CONNECTIONS_TABLE": self.roster.table_name,
                "SOCKET_API_ID": self.api.ref,
                "SOCKET_STAGE": STAGE,
            },
            [
                allow("ReadRoster", ["dynamodb:Scan", "dynamodb:DeleteItem"], [self.roster.table_arn]),
                self._write_to_connections(),
                consume(queue.queue.queue_arn),
            ],
            timeout_seconds=_PUBLISH_TIMEOUT_SECONDS,
        )
        queue.consumed_by(publish.function, batch_size=_BATCH)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"wss://{self.api.ref}.execute-api.{self._settings.region}.amazonaws.com/{STAGE}"

    def _write_to_connections(self) -> Permission:
        return allow(
            "WriteToConnections",
            ["execute-api:ManageConnections"],
            [self._settings.arn("execute-api", f"{self.api.ref}/{STAGE}/POST/@connections/*")],
            reason="API Gateway names the connections, of this API's one stage only.",
        )

    def _keep_roster(self, access: Access) -> PackagedFunction:
        return PackagedFunction(
            self,
            "KeepRoster",
            self._given,
            "keep_roster",
            {
                "CONNECTIONS_TABLE": self.roster.table_name,
                "USER_POOL_ID": access.pool.ref,
                "SCOPE": f"{RESOURCE_SERVER}/{READ}",
            },
            [
                allow("KeepRoster", ["dynamodb:PutItem", "dynamodb:DeleteItem"], [self.roster.table_arn]),
                self._write_to_connections(),
            ],
            timeout_seconds=10,
        )

    def _routes(self, function: PackagedFunction, logging: CfnResource) -> None:
        settings = self._settings
        integration = apigateway.CfnIntegration(
            self,
            "Integration",
            api_id=self.api.ref,
            integration_type="AWS_PROXY",
            integration_uri=f"arn:aws:apigateway:{settings.region}:lambda:path/2015-03-31/functions/{function.arn}/invocations",
        )
        deployment = apigateway.CfnDeployment(self, "Deployment", api_id=self.api.ref)
        for name, key in _ROUTES.items():
            route = apigateway.CfnRoute(
                self,
                name,
                api_id=self.api.ref,
                route_key=key,
                authorization_type="NONE",
                target=f"integrations/{integration.ref}",
            )
            accept(
                route,
                "AwsSolutions-APIG4",
                "The function behind $connect has Cognito verify the caller's token; nobody else has a connection.",
            )
            deployment.add_resource_dependency(route)
        name = settings.name("live")
        group = vended_log_group(self, self._given, "apigateway", name)
        stage = apigateway.CfnStage(
            self,
            "Stage",
            api_id=self.api.ref,
            stage_name=STAGE,
            deployment_id=deployment.ref,
            access_log_settings=apigateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=group.log_group_arn, format=json.dumps(_LOGGED)
            ),
            default_route_settings=apigateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=_RATE,
                throttling_burst_limit=_BURST,
                logging_level="ERROR",
                data_trace_enabled=False,
            ),
        )
        stage.add_resource_dependency(logging)
        lambda_.CfnPermission(
            self,
            "KeepRosterInvoke",
            action="lambda:InvokeFunction",
            function_name=function.arn,
            principal="apigateway.amazonaws.com",
            source_arn=settings.arn("execute-api", f"{self.api.ref}/{STAGE}/*"),
        )

    def _outcomes(self) -> WorkQueue:
        """The rule, and the queue that it fills."""
        settings = self._settings
        name = settings.name("live-outcomes")
        queue = WorkQueue(
            self,
            "Outcomes",
            settings,
            self._given.key,
            "live-outcomes",
            consumer_timeout=_PUBLISH_TIMEOUT_SECONDS,
        )
        events.CfnRule(
            self,
            "Rule",
            name=name,
            description="Ends of exports and jobs, and curated tables that changed, for everyone who is connected",
            event_pattern={
                "source": ["watershed.export", "aws.glue"],
                "detail-type": [
                    *("Export Landed", "Export Failed", "Glue Job State Change"),
                    "Glue Data Catalog Table State Change",
                ],
                # Our jobs' and our tables', of events that name one.
                "detail": {
                    "jobName": [{"prefix": f"{settings.prefix}-"}, {"exists": False}],
                    "databaseName": [settings.database("curated"), {"exists": False}],
                },
            },
            state="ENABLED",
            targets=[
                events.CfnRule.TargetProperty(
                    id="live",
                    arn=queue.arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(
                        arn=queue.dead_letters.queue_arn
                    ),
                    # News of an hour ago is none.
                    retry_policy=events.CfnRule.RetryPolicyProperty(
                        maximum_retry_attempts=10, maximum_event_age_in_seconds=3600
                    ),
                )
            ],
        )
        queue.fed_by(settings.arn("events", f"rule/{name}"))
        return queue
