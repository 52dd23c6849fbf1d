"""Who may use the control plane: the user pool, its groups, the scopes they stand for, the profiles."""

from __future__ import annotations

import json

from aws_cdk import RemovalPolicy
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.api.description import RESOURCE_SERVER
from infra.api.operations import GROUPS, SCOPES
from infra.functions import PackagedFunction, Surroundings
from infra.item_tables import table
from infra.policies import accept, allow
from infra.settings import Settings

_GROUP_TEXTS = {
    "analyst": "See exports, runs, tables and the quarantine",
    "engineer": "Start exports and runs, admit analysts",
}


class Access(Construct):
    """The capability: sign-in by e-mail or number, nobody signs themselves up."""

    def __init__(self, scope: Construct, id_: str, given: Surroundings) -> None:
        super().__init__(scope, id_)
        settings = given.settings
        self.analysts = table(
            self, "Analysts", settings.name("analysts"), (("id", "S"),), settings, given.key, stream=False
        )
        shape = self._shape_token(given)
        self.pool = self._pool(settings, shape)
        lambda_.CfnPermission(
            self,
            "ShapeTokenInvoke",
            action="lambda:InvokeFunction",
            function_name=shape.arn,
            principal="cognito-idp.amazonaws.com",
            source_arn=self.pool.attr_arn,
        )
        for name in GROUPS:
            cognito.CfnUserPoolGroup(
                self,
                name.capitalize(),
                user_pool_id=self.pool.ref,
                group_name=name,
                description=_GROUP_TEXTS[name],
            )
        server = cognito.CfnUserPoolResourceServer(
            self,
            "Scopes",
            user_pool_id=self.pool.ref,
            identifier=RESOURCE_SERVER,
            name="Watershed control plane",
            scopes=[
                cognito.CfnUserPoolResourceServer.ResourceServerScopeTypeProperty(
                    scope_name=name, scope_description=text
                )
                for name, text in SCOPES.items()
            ],
        )
        self.client = self._client(settings)
        self.client.add_resource_dependency(server)

    def _shape_token(self, given: Surroundings) -> PackagedFunction:
        scopes = {group: [f"{RESOURCE_SERVER}/{each}" for each in names] for group, names in GROUPS.items()}
        return PackagedFunction(
            self,
            "ShapeToken",
            given,
            "shape_token",
            {"ANALYSTS_TABLE": self.analysts.table_name, "SCOPES": json.dumps(scopes)},
            [allow("ReadProfiles", ["dynamodb:GetItem"], [self.analysts.table_arn])],
            # Cognito waits five seconds for its triggers.
            timeout_seconds=5,
        )

    def _pool(self, settings: Settings, shape: PackagedFunction) -> cognito.CfnUserPool:
        pool = cognito.CfnUserPool(
            self,
            "Users",
            user_pool_name=settings.prefix,
            # The tier whose triggers may change access tokens.
            user_pool_tier="ESSENTIALS",
            admin_create_user_config=cognito.CfnUserPool.AdminCreateUserConfigProperty(
                allow_admin_create_user_only=True
            ),
            # The name is the analyst's number; an e-mail signs in as well, once it is verified.
            alias_attributes=["email"],
            account_recovery_setting=cognito.CfnUserPool.AccountRecoverySettingProperty(
                recovery_mechanisms=[
                    cognito.CfnUserPool.RecoveryOptionProperty(name="verified_email", priority=1)
                ]
            ),
            mfa_configuration="ON" if settings.require_mfa else "OFF",
            enabled_mfas=["SOFTWARE_TOKEN_MFA"] if settings.require_mfa else None,
            policies=cognito.CfnUserPool.PoliciesProperty(
                password_policy=cognito.CfnUserPool.PasswordPolicyProperty(
                    minimum_length=12,
                    require_lowercase=True,
                    require_uppercase=True,
                    require_numbers=True,
                    require_symbols=True,
                    temporary_password_validity_days=3,
                )
            ),
            lambda_config=cognito.CfnUserPool.LambdaConfigProperty(
                pre_token_generation_config=cognito.CfnUserPool.PreTokenGenerationConfigProperty(
                    lambda_arn=shape.arn, lambda_version="V2_0"
                )
            ),
            deletion_protection="ACTIVE" if settings.retain_data else "INACTIVE",
        )
        pool.apply_removal_policy(RemovalPolicy.RETAIN if settings.retain_data else RemovalPolicy.DESTROY)
        for rule in ("AwsSolutions-COG3", "AwsSolutions-COG8"):
            accept(
                pool,
                rule,
                "Threat protection, of the tier above, is billed by user and the account's to decide; codes from an app are asked for.",
            )
        if not settings.require_mfa:
            accept(pool, "AwsSolutions-COG2", "Sign-in without a second factor was chosen in the settings.")
        return pool

    def _client(self, settings: Settings) -> cognito.CfnUserPoolClient:
        return cognito.CfnUserPoolClient(
            self,
            "Console",
            user_pool_id=self.pool.ref,
            client_name=settings.name("console"),
            # A page in a browser keeps no secret.
            generate_secret=False,
            explicit_auth_flows=[
                "ALLOW_USER_PASSWORD_AUTH",
                "ALLOW_USER_SRP_AUTH",
                "ALLOW_REFRESH_TOKEN_AUTH",
            ],
            prevent_user_existence_errors="ENABLED",
            enable_token_revocation=True,
            access_token_validity=60,
            id_token_validity=60,
            refresh_token_validity=12,
            token_validity_units=cognito.CfnUserPoolClient.TokenValidityUnitsProperty(
                access_token="minutes", id_token="minutes", refresh_token="hours"
            ),
        )
