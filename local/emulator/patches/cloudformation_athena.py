"""CloudFormation knows `AWS::Athena::NamedQuery`: `Ref` is the query's id, and any change replaces it."""

from __future__ import annotations

import json

from local.emulator.resource_types import Properties, ResourceType

_FIELDS = ("Name", "Description", "Database", "QueryString", "WorkGroup")


def _create(_name: str, properties: Properties) -> str:
    from ministack.services import athena

    request = {field: properties[field] for field in _FIELDS if field in properties}
    _status, _headers, body = athena._create_named_query(request)
    return str(json.loads(body)["NamedQueryId"])


def _delete(ref: str, _properties: Properties) -> None:
    from ministack.services import athena

    athena._delete_named_query({"NamedQueryId": ref})


def apply() -> None:
    ResourceType("AWS::Athena::NamedQuery", _create, _delete, id_attribute="NamedQueryId").register()
