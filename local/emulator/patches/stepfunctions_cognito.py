"""A state machine calls Cognito's user pools.

Step Functions calls any service by `arn:aws:states:::aws-sdk:<service>:<action>`, and names a service and its
errors as the SDK for Java does: `cognitoidentityprovider`, and `CognitoIdentityProvider.<Error>`. The emulator
has the service, but not under that name.
"""

from __future__ import annotations


def apply() -> None:
    from ministack.services import stepfunctions

    service = "cognitoidentityprovider"
    stepfunctions._AWS_SDK_SERVICE_MAP[service] = {
        "target_prefix": "AWSCognitoIdentityProviderService",
        "protocol": "json",
        "service_key": "cognito-idp",
    }
    stepfunctions._AWS_SDK_ERROR_PREFIX[service] = "CognitoIdentityProvider"
