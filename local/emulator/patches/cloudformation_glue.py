"""CloudFormation knows `AWS::Glue::Workflow` and `AWS::Glue::SecurityConfiguration`.

On AWS, `Ref` of each is its name, and a change of `Name`, or of a security configuration's
`EncryptionConfiguration`, replaces it.
"""

from __future__ import annotations

from local.emulator.resource_types import Properties, ResourceType

_WORKFLOW = "AWS::Glue::Workflow"
_SECURITY = "AWS::Glue::SecurityConfiguration"


def _workflow(name: str, properties: Properties) -> Properties:
    return {
        "Name": name,
        "Description": properties.get("Description", ""),
        "DefaultRunProperties": properties.get("DefaultRunProperties", {}),
        "MaxConcurrentRuns": int(properties.get("MaxConcurrentRuns", 0)),
    }


def _create_workflow(name: str, properties: Properties) -> str:
    from ministack.services import glue
    from ministack.services.cloudformation import provisioners

    name = properties.get("Name") or name
    request = {**_workflow(name, properties), "Tags": provisioners._tag_map(properties.get("Tags"))}
    provisioners._glue_call(glue._create_workflow, request, _WORKFLOW, "create")
    return name


def _update_workflow(ref: str, new: Properties) -> bool:
    from ministack.services import glue
    from ministack.services.cloudformation import provisioners

    if new.get("Name", ref) != ref or ref not in glue._workflows:
        return False
    provisioners._glue_call(glue._update_workflow, _workflow(ref, new), _WORKFLOW, "update")
    return True


def _delete_workflow(ref: str, _properties: Properties) -> None:
    from ministack.services import glue

    glue._delete_workflow({"Name": ref})


def _create_security(name: str, properties: Properties) -> str:
    from ministack.services import glue
    from ministack.services.cloudformation import provisioners

    name = properties.get("Name") or name
    declared = dict(properties.get("EncryptionConfiguration", {}))
    # The one name that differs between the template and the API.
    if "S3Encryptions" in declared:
        declared["S3Encryption"] = declared.pop("S3Encryptions")
    request = {"Name": name, "EncryptionConfiguration": declared}
    provisioners._glue_call(glue._create_security_configuration, request, _SECURITY, "create")
    return name


def _delete_security(ref: str, _properties: Properties) -> None:
    from ministack.services import glue

    glue._delete_security_configuration({"Name": ref})


def apply() -> None:
    ResourceType(_WORKFLOW, _create_workflow, _delete_workflow, _update_workflow).register()
    # Glue has no UpdateSecurityConfiguration.
    ResourceType(_SECURITY, _create_security, _delete_security).register()
