"""The data store exported from: one that exists, or one that the stack makes."""

from __future__ import annotations

from aws_cdk import CfnParameter, RemovalPolicy
from aws_cdk import aws_healthlake as healthlake
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.settings import Settings


def healthlake_datastore(scope: Construct, settings: Settings, key: kms.IKey) -> str:
    """The data store's id: a parameter of the stack, or the token of the one that it makes."""
    if not settings.makes_datastore:
        return CfnParameter(
            scope,
            "HealthLakeDatastoreId",
            default=settings.healthlake_datastore_id,
            allowed_pattern="[A-Za-z0-9]{1,64}",
            description="The data store exported from",
        ).value_as_string
    made = healthlake.CfnFHIRDatastore(
        scope,
        "Datastore",
        # Name, version and encryption must never change: CloudFormation would replace the data store by an
        # empty one.
        datastore_name=settings.name("fhir"),
        datastore_type_version="R4",
        sse_configuration=healthlake.CfnFHIRDatastore.SseConfigurationProperty(
            kms_encryption_config=healthlake.CfnFHIRDatastore.KmsEncryptionConfigProperty(
                cmk_type="CUSTOMER_MANAGED_KMS_KEY", kms_key_id=key.key_arn
            )
        ),
    )
    # Clinical records: they outlive the stack even where the settings keep nothing else.
    made.apply_removal_policy(RemovalPolicy.RETAIN)
    return made.attr_datastore_id
