"""CloudFormation knows `AWS::Athena::NamedQuery`.

The emulator's Athena has named queries, but its CloudFormation refuses a whole template that holds one. On AWS,
`Ref` is the query's id, and a change of any property replaces it.
"""

from __future__ import annotations

import json
from typing import Any

_NAMED_QUERY = "AWS::Athena::NamedQuery"
_FIELDS = ("Name", "Description", "Database", "QueryString", "WorkGroup")

_Properties = dict[str, Any]
_Made = tuple[str, _Properties]


def _create(_logical_id: str, properties: _Properties, _stack_name: str) -> _Made:
    from ministack.services import athena

    request = {field: properties[field] for field in _FIELDS if field in properties}
    _status, _headers, body = athena._create_named_query(request)
    query_id = str(json.loads(body)["NamedQueryId"])
    return query_id, {"NamedQueryId": query_id}


def _update(
    physical_id: str,
    old: _Properties,
    new: _Properties,
    stack_name: str,
    logical_id: str | None = None,
) -> _Made:
    if new == old:
        return physical_id, {"NamedQueryId": physical_id}
    made = _create(logical_id or physical_id, new, stack_name)
    _delete(physical_id, old)
    return made


def _delete(physical_id: str, _properties: _Properties) -> None:
    from ministack.services import athena

    athena._delete_named_query({"NamedQueryId": physical_id})


def apply() -> None:
    from ministack.services.cloudformation import provisioners

    provisioners._RESOURCE_HANDLERS[_NAMED_QUERY] = {
        "create": _create,
        "update": _update,
        "update_with_logical_id": True,
        "delete": _delete,
    }
