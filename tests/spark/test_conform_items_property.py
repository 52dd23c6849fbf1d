"""Random histories, delivered in any order, twice or more, by the direct sink and by Firehose, split into runs:
the tables are those of the changes."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from tests.conftest import LANDING_BUCKET, examples
from tests.spark.items_model import as_row, versions
from tests.spark.landed_items import Lake, declare, stream_record

pytestmark = pytest.mark.spark
_examples = itertools.count()
KINDS = ("Red", "Blue")


def an_image(dice: random.Random) -> dict[str, Any]:
    """A random image; one in twelve has a value of the wrong type."""
    digits = "".join(dice.choices("0123456789", k=dice.randint(1, 28))).lstrip("0") or "0"
    image: dict[str, Any] = {
        "kind": {"S": dice.choice(KINDS)},
        "amount": {"N": f"{dice.choice(['', '-'])}{digits}.{dice.randrange(10**9):09d}"},
        "whole": {"N": str(dice.randint(-(2**63), 2**63 - 1))},
        "label": dice.choice([{"S": ""}, {"S": 'n1 "q\\ \n é s'}, {"S": "12"}, {"NULL": True}]),
        "tags": {"SS": sorted(dice.sample(["a", "b", "", "s", "[1]"], dice.randint(1, 3)))},
        "loose": {"M": {"b": {"N": f"{digits}.10"}, "a": {"S": "true"}, "c": {"BOOL": True}}},
        "text": {"S": "{}"},
    }
    for name in dice.sample(["amount", "whole", "label", "tags", "loose", "text"], dice.randint(0, 4)):
        del image[name]
    if dice.random() < 1 / 12:
        wrong = {
            "amount": dice.choice([{"S": "1"}, {"N": "1E-10"}]),
            "whole": dice.choice([{"N": "1.5"}, {"N": str(2**63)}, {"S": "1"}]),
            "label": {"N": "1"},
            "tags": {"NS": ["1"]},
        }
        name = dice.choice(list(wrong))
        image[name] = wrong[name]
    return image


def a_history(dice: random.Random, table_name: str, keys: int) -> list[dict[str, Any]]:
    """The changes of some items, in the order in which they were made; the clock may step back."""
    sequence = dice.choice([0, 9 * 10**19, 10**38])  # crosses a number of digits, or is long
    images: dict[int, dict[str, Any] | None] = dict.fromkeys(range(keys))
    records: list[dict[str, Any]] = []
    for _ in range(keys * 4):
        number = dice.randrange(keys)
        old = images[number]
        new = None if old is not None and dice.random() < 0.3 else an_image(dice)
        sequence += dice.randint(1, 10 ** dice.randint(1, 20))
        at = 1_772_000_000 + len(records) // 3 + dice.choice([0, 0, 0, -5])
        key = {"id": {"S": f"id {number}"}, "at": {"N": str(1_700_000_000_000 + number)}}
        expired = new is None and dice.random() < 0.5
        records.append(stream_record(table_name, sequence, key, new, old, at=at, expired=expired))
        images[number] = new
    return records


@settings(
    max_examples=examples(2),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take minutes per step
)
@given(seed=st.integers(0, 2**32), runs=st.integers(2, 3))
def test_any_delivery_gives_the_tables_of_the_changes(
    spark: SparkSession,
    mirror: Path,
    landing_uri: str,
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    runs: int,
) -> None:
    dice, number = random.Random(seed), next(_examples)
    table_name, folder = f"table-property-{number}", tmp_path_factory.mktemp("types")
    attributes = {
        "kind": "string", "amount": "decimal(38,9)", "whole": "long", "label": "string", "tags": "string_set",
    }  # fmt: skip
    types = [
        declare(
            folder,
            f"{kind}{number}",
            table_name,
            match={"kind": kind},
            keys={"id": "string", "at": "timestamp_millis"},
            attributes=attributes,
        )
        for kind in KINDS
    ]
    lake = Lake(spark, mirror / LANDING_BUCKET, landing_uri, types, f"conform_property_{number}")
    # Each item's history is a case of its own: one run of the job settles five hundred.
    records = a_history(dice, table_name, keys=500)
    deliveries = records + dice.choices(records, k=len(records) // 2)
    dice.shuffle(deliveries)
    for run in range(runs):
        part = deliveries[run::runs]
        cut = dice.randrange(len(part))
        # By either delivery, and some changes by both.
        for batch in (part[:cut], part[cut:]):
            dice.choice([lake.land, lake.land_by_firehose])(batch)
        lake.conform()

    live = 0
    for kind, item_type in zip(KINDS, types, strict=True):
        current, history = versions(records, kind)
        found = [as_row(row, history=False) for row in lake.rows(item_type)]
        past = [as_row(row, history=True) for row in lake.rows(item_type, "_history")]
        assert (set(found), len(found)) == (current, len(current))
        assert (set(past), len(past)) == (history, len(history))
        live += len(current)
    assert live, "the history had live items to compare"
