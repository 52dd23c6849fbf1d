"""A table of the Data Catalog that is made or changed is told of on the default event bus.

"Automating AWS Glue with EventBridge": Glue puts a `Glue Data Catalog Table State Change` with the database, the
table and the type of the change. Each commit to an Iceberg table is one, for it moves the table's metadata. The
emulator puts none.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def apply() -> None:
    from ministack.services import glue

    glue._create_table = _announcing(glue._create_table, "CreateTable")
    glue._update_table = _announcing(glue._update_table, "UpdateTable")


def _announcing(change: Callable[[dict[str, Any]], Any], kind: str) -> Callable[[dict[str, Any]], Any]:
    def change_and_announce(request: dict[str, Any]) -> Any:
        from ministack.services import eventbridge

        reply = change(request)
        if reply[0] < 400:
            detail = {
                "databaseName": request["DatabaseName"],
                "tableName": request["TableInput"]["Name"],
                "typeOfChange": kind,
            }
            entry = {
                "Source": "aws.glue",
                "DetailType": "Glue Data Catalog Table State Change",
                "Detail": json.dumps(detail),
            }
            eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
        return reply

    return change_and_announce
