"""What `watershed run` says of a crawl."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.crawl_told import crawl_told
from local.workflow_run import NodeRun

QUIET = {"table": "patient_change", "added": 0, "drift": {}}


@pytest.mark.parametrize(
    ("messages", "tables", "told"),
    [
        (None, [QUIET, {**QUIET, "added": 2}], ", everything listed, 2 partitions added"),
        (0, [QUIET], ", 0 messages from S3, 0 partitions added"),
        (1200, [{**QUIET, "added": 1}], ", 1,200 messages from S3, 1 partition added"),
        (
            1,
            [{**QUIET, "drift": {"expired": "is declared boolean; holds string"}}],
            ", 1 message from S3, 0 partitions added; patient_change: expired is declared boolean; holds string",
        ),
    ],
)
def test_it_says_what_the_crawl_went_by(
    tmp_path: Path, messages: int | None, tables: list[dict[str, object]], told: str
) -> None:
    (tmp_path / "landing-items").mkdir()
    (tmp_path / "landing-items" / "1.log").write_text(json.dumps({"messages": messages, "tables": tables}))
    node = NodeRun("crawler", "landing-items", "SUCCEEDED", 1.0, log_stream="landing-items/1")
    assert crawl_told(tmp_path, node) == told


def test_a_crawl_whose_log_is_gone_says_nothing(tmp_path: Path) -> None:
    assert crawl_told(tmp_path, NodeRun("crawler", "c", "SUCCEEDED", 1.0, log_stream="c/1")) == ""
    assert crawl_told(tmp_path, NodeRun("crawler", "c", "SUCCEEDED", 1.0)) == ""
