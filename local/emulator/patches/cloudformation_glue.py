"""CloudFormation knows `AWS::Glue::Workflow` and `AWS::Glue::SecurityConfiguration`.

The emulator's Glue has both, but its CloudFormation refuses a whole template that names either. On AWS,
`Ref` of each is its name, and a change of `Name`, or of a security configuration's
`EncryptionConfiguration`, replaces it.
"""

from __future__ import annotations

from typing import Any

_WORKFLOW = "AWS::Glue::Workflow"
_SECURITY = "AWS::Glue::SecurityConfiguration"

_Properties = dict[str, Any]
_Made = tuple[str, _Properties]


def _create_workflow(logical_id: str, properties: _Properties, stack_name: str) -> _Made:
    from ministack.services import glue
    from ministack.services.cloudformation import provisioners

    name = properties.get("Name") or provisioners._physical_name(stack_name, logical_id, max_len=255)
    request = {
        "Name": name,
        "Description": properties.get("Description", ""),
        "DefaultRunProperties": properties.get("DefaultRunProperties", {}),
        "MaxConcurrentRuns": int(properties.get("MaxConcurrentRuns", 0)),
        "Tags": provisioners._tag_map(properties.get("Tags")),
    }
    provisioners._glue_call(glue._create_workflow, request, _WORKFLOW, "create")
    return name, {}


def _update_workflow(
    physical_id: str,
    old: _Properties,
    new: _Properties,
    stack_name: str,
    logical_id: str | None = None,
) -> _Made:
    from ministack.services import glue
    from ministack.services.cloudformation import provisioners

    if new.get("Name", physical_id) != physical_id or physical_id not in glue._workflows:
        made = _create_workflow(logical_id or physical_id, new, stack_name)
        _delete_workflow(physical_id, old)
        return made
    request = {
        "Name": physical_id,
        "Description": new.get("Description", ""),
        "DefaultRunProperties": new.get("DefaultRunProperties", {}),
        "MaxConcurrentRuns": int(new.get("MaxConcurrentRuns", 0)),
    }
    provisioners._glue_call(glue._update_workflow, request, _WORKFLOW, "update")
    return physical_id, {}


def _delete_workflow(physical_id: str, _properties: _Properties) -> None:
    from ministack.services import glue

    glue._delete_workflow({"Name": physical_id})


def _create_security(logical_id: str, properties: _Properties, stack_name: str) -> _Made:
    from ministack.services import glue
    from ministack.services.cloudformation import provisioners

    name = properties.get("Name") or provisioners._physical_name(stack_name, logical_id, max_len=255)
    declared = dict(properties.get("EncryptionConfiguration", {}))
    # The one name that differs between the template and the API.
    if "S3Encryptions" in declared:
        declared["S3Encryption"] = declared.pop("S3Encryptions")
    request = {"Name": name, "EncryptionConfiguration": declared}
    provisioners._glue_call(glue._create_security_configuration, request, _SECURITY, "create")
    return name, {}


def _update_security(
    physical_id: str,
    old: _Properties,
    new: _Properties,
    stack_name: str,
    logical_id: str | None = None,
) -> _Made:
    if new == old:
        return physical_id, {}
    # Glue has no UpdateSecurityConfiguration. Under an unchanged name AWS would refuse the replacement,
    # since the old one still holds the name; here the old one makes room.
    _delete_security(physical_id, old)
    return _create_security(logical_id or physical_id, new, stack_name)


def _delete_security(physical_id: str, _properties: _Properties) -> None:
    from ministack.services import glue

    glue._delete_security_configuration({"Name": physical_id})


def apply() -> None:
    from ministack.services.cloudformation import provisioners

    provisioners._RESOURCE_HANDLERS[_WORKFLOW] = {
        "create": _create_workflow,
        "update": _update_workflow,
        "update_with_logical_id": True,
        "delete": _delete_workflow,
    }
    provisioners._RESOURCE_HANDLERS[_SECURITY] = {
        "create": _create_security,
        "update": _update_security,
        "update_with_logical_id": True,
        "delete": _delete_security,
    }
