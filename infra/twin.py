"""What the de-identified twin needs besides a database: the secret of its keyed hashes."""

from __future__ import annotations

from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.policies import Permission, accept, allow
from infra.settings import Settings
from infra.storage import removal

_CHARACTERS = 64
"""Letters and digits: 380 bits."""


class TwinSecret(Construct):
    """Made by Secrets Manager, and never in a template; who reads it can test guesses of who is who."""

    def __init__(self, scope: Construct, id_: str, settings: Settings, key: kms.IKey) -> None:
        super().__init__(scope, id_)
        secret = secretsmanager.CfnSecret(
            self,
            "Secret",
            name=settings.name("twin-secret"),
            description="Watershed: key of the hashes and date shifts of the de-identified twin",
            kms_key_id=key.key_arn,
            generate_secret_string=secretsmanager.CfnSecret.GenerateSecretStringProperty(
                password_length=_CHARACTERS, exclude_punctuation=True
            ),
        )
        secret.apply_removal_policy(removal(settings))
        for rule in ("AwsSolutions-SMG4", "HIPAA.Security::HIPAA.Security-SecretsManagerRotationEnabled"):
            accept(
                secret,
                rule,
                "A new secret gives every patient a new key and new dates, and so makes the twin anew: when, is for"
                " those to say who work with it (docs/deidentify.md).",
            )
        self.arn = secret.ref

    def arguments(self, mode: str) -> dict[str, str]:
        """What the jobs are told."""
        return {"--deid": mode, "--deid_secret": self.arn}

    def permissions(self) -> list[Permission]:
        """What a job asks that keeps the twin."""
        return [allow("ReadTwinSecret", ["secretsmanager:GetSecretValue"], [self.arn])]
