"""What a crawl did, from its log."""

from __future__ import annotations

import json
from pathlib import Path

from local.workflow_run import NodeRun


def crawl_told(logs: Path, node: NodeRun) -> str:
    """``, 12 messages from S3, 3 partitions added`` and what drifted; empty where its log is gone."""
    log = logs / f"{node.log_stream}.log"
    if not node.log_stream or not log.is_file():
        return ""
    summary = json.loads(log.read_text())
    messages, added = summary["messages"], sum(table["added"] for table in summary["tables"])
    looked = "everything listed" if messages is None else f"{_many(messages, 'message')} from S3"
    drifted = "".join(
        f"; {table['table']}: {field} {what}"
        for table in summary["tables"]
        for field, what in table["drift"].items()
    )
    return f", {looked}, {_many(added, 'partition')} added{drifted}"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
