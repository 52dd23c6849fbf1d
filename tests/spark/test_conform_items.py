"""conform_items against a real Spark and Iceberg."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from glue_jobs.conform import item_tables, items
from glue_jobs.conform.item_tables import KeyTypeError, _write, table_specs
from glue_jobs.lake.errors import TableError
from glue_jobs.lake.quarantine import quarantine
from glue_jobs.lake.rereads import mark_body, mark_key
from tests.conftest import LANDING_BUCKET
from tests.spark.landed_items import Lake, declare, normal, stream_record, table_safe

pytestmark = pytest.mark.spark
_numbers = itertools.count()
ID = {"id": "string"}

NewLake = Callable[..., Lake]


@pytest.fixture
def new_lake(
    spark: SparkSession, mirror: Path, landing_uri: str, tmp_path: Path, request: pytest.FixtureRequest
) -> NewLake:
    """Makes a lake of one item type whose attributes the test names."""

    def make(attributes: dict[str, Any], **fields: Any) -> Lake:
        name = f"{table_safe(request.node.name)[:40]}{next(_numbers)}"
        fields.setdefault("keys", ID)
        item_type = declare(tmp_path, name, f"table-{name}", attributes=attributes, **fields)
        return Lake(spark, mirror / LANDING_BUCKET, landing_uri, [item_type], f"conform_{name}")

    return make


def change(
    lake: Lake, sequence: int, id_: str, new: Any = None, old: Any = None, **rest: Any
) -> dict[str, Any]:
    return stream_record(lake.item_types[0].table_name, sequence, {"id": {"S": id_}}, new, old, **rest)


def test_every_type_arrives_exactly(new_lake: NewLake) -> None:
    lake = new_lake(
        {
            "text": "string", "reason": "string", "whole": "long", "ratio": "double",
            "money": "decimal(12,2)",
            "wide": "decimal", "flag": "boolean", "bytes": "binary", "day": "date", "at": "timestamp",
            "ms": "timestamp_millis", "s": "timestamp_seconds", "tags": "string_set", "tree": "json",
        }
    )  # fmt: skip
    image = {
        "text": {"S": 'a "b" \\ \u2028 12'},
        "whole": {"N": "-9223372036854775808"},
        "ratio": {"N": "0.1"},
        "money": {"N": "9999999999.99"},
        "wide": {"N": "12345678901234567890123456789.123456789"},
        "flag": {"BOOL": False},
        "bytes": {"B": "AAEC/w=="},
        "day": {"S": "2024-02-29"},
        "at": {"S": "2026-03-08T02:30:00.123456+05:45"},
        "ms": {"N": "1772000000123"},
        "s": {"N": "1772000000.000001"},
        "tags": {"SS": ["b", "a", "", "s"]},
        "tree": {"L": [{"N": "1.50"}, {"M": {"s": {"S": "n1"}, "e": {"S": ""}}}, {"NULL": True}]},
        "undeclared": {"N": "12345678901234567890.123456789012345678"},
        "other": {"M": {"x": {"NS": ["10", "9"]}, 'q"': {"S": "line\nfeed"}}},
        "plain": {"S": "{}"},
    }
    lake.land([change(lake, 7, "k", image)])
    run = lake.conform()

    (row,) = lake.rows(lake.item_types[0])
    assert run.quarantined == {}
    assert row["text"] == 'a "b" \\ \u2028 12'
    assert (row["whole"], row["ratio"]) == (-(2**63), 0.1)
    assert row["money"] == Decimal("9999999999.99")
    assert row["wide"] == Decimal("12345678901234567890123456789.123456789")
    assert (row["flag"], bytes(row["bytes"])) == (False, b"\x00\x01\x02\xff")
    assert str(row["day"]) == "2024-02-29"
    assert row["at"] == "2026-03-07 20:45:00.123456"
    assert (row["ms"], row["s"]) == ("2026-02-25 06:13:20.123", "2026-02-25 06:13:20.000001")
    assert row["tags"] == ["", "a", "b", "s"]
    assert row["tree"] == '[1.50,{"e":"","s":"n1"},null]'
    assert row["_extra"] == (
        '{"other":{"q\\"":"line\\nfeed","x":[9,10]},"plain":"{}",'
        '"undeclared":12345678901234567890.123456789012345678}'
    )
    assert (row["_sequence_number"], row["_changed_at"]) == ("7", "2026-02-25 06:13:20")
    assert (row["_event_id"], row["_run_id"]) == (f"{7:032x}", run.run_id)


WRONG = [
    ("string", {"N": "1"}, "wrong_type", "is a number"),
    ("string", {"M": {}}, "wrong_type", "is a map"),
    ("long", {"S": "1"}, "wrong_type", "is a text"),
    ("long", {"N": "1.5"}, "unfit_value", "cannot hold"),
    ("long", {"N": "9223372036854775808"}, "unfit_value", "cannot hold"),
    ("long", {"N": "1E-130"}, "unfit_value", "cannot hold"),
    ("decimal(12,2)", {"N": "1.005"}, "unfit_value", "cannot hold"),
    ("decimal(12,2)", {"N": "10000000000"}, "unfit_value", "cannot hold"),
    ("decimal", {"N": "1E-10"}, "unfit_value", "cannot hold"),
    ("decimal", {"BOOL": True}, "wrong_type", "is true or false"),
    ("boolean", {"S": "true"}, "wrong_type", "is a text"),
    ("double", {"S": "NaN"}, "wrong_type", "is a text"),
    ("binary", {"S": "not base64"}, "unfit_value", "cannot hold"),
    ("date", {"S": "2023-02-29"}, "unfit_value", "cannot hold"),
    ("date", {"S": "2023-02-28T00:00:00Z"}, "unfit_value", "cannot hold"),
    ("timestamp", {"S": "2023-02-28"}, "unfit_value", "cannot hold"),
    ("timestamp", {"S": "2023-02-28T25:00:00Z"}, "unfit_value", "cannot hold"),
    ("timestamp_millis", {"N": "99999999999999999999"}, "unfit_value", "cannot hold"),
    ("timestamp_millis", {"S": "1772000000123"}, "wrong_type", "is a text"),
    ("timestamp_seconds", {"N": "1.0000001"}, "unfit_value", "cannot hold"),
    ("string_set", {"NS": ["1"]}, "unfit_value", "cannot hold"),
    ("string_set", {"S": "a"}, "wrong_type", "is a text"),
]
RIGHT = [
    ("long", {"N": "1E+2"}, 100),
    ("long", {"N": "100.00"}, 100),
    ("decimal(12,2)", {"N": "1.500"}, Decimal("1.50")),
    ("decimal(12,2)", {"N": "150e-2"}, Decimal("1.50")),
    ("decimal(4,4)", {"N": "0.1234"}, Decimal("0.1234")),
    ("decimal", {"N": "0E-100"}, Decimal(0)),
    ("timestamp", {"S": "2026-01-01T00:00"}, "2026-01-01 00:00:00"),
    ("timestamp_millis", {"N": "-62135596800000"}, "0001-01-01 00:00:00"),
    ("string_set", {"L": []}, []),
    ("json", {"S": 'a"'}, '"a\\""'),
    ("json", {"N": "1.0"}, "1.0"),
    ("string", {"NULL": True}, None),
    ("long", {"NULL": True}, None),
    ("json", {"NULL": True}, None),
]


def test_a_wrong_type_goes_to_quarantine_with_attribute_and_reason(new_lake: NewLake) -> None:
    """All cases at once, one attribute each; the item beside them has the right ones."""
    cases = {f"a{index}": case for index, case in enumerate([*WRONG, *RIGHT])}
    lake = new_lake({name: declared for name, (declared, *_) in cases.items()})
    bad = list(cases)[: len(WRONG)]
    good = {name: cases[name][1] for name in list(cases)[len(WRONG) :]}
    lake.land(
        [
            change(lake, 1, "good", good),
            *(
                change(lake, 2 + index, f"bad-{name}", {name: cases[name][1]})
                for index, name in enumerate(bad)
            ),
        ]
    )
    run = lake.conform()

    (row,) = lake.rows(lake.item_types[0])
    assert {name: row[name] for name in good} == {name: cases[name][2] for name in good}
    refused = sorted(lake.quarantined(), key=lambda each: int(each["line"]))
    found = [(each["line"], each["reason"], str(each["detail"]).split(":")[0]) for each in refused]
    assert found == [(2 + index, cases[name][2], name) for index, name in enumerate(bad)]
    for each, name in zip(refused, bad, strict=True):
        assert str(cases[name][3]) in str(each["detail"])
    assert sum(run.quarantined.values()) == len(bad)
    assert len(lake.rows(lake.item_types[0], "_history")) == 1


def test_unreadable_lines_go_to_quarantine_with_file_and_line(new_lake: NewLake) -> None:
    lake = new_lake({"v": "long"})
    (landed,) = lake.land([change(lake, 1, "a", {"v": {"N": "1"}}), change(lake, 2, "b", {"v": {"N": "2"}})])
    first, second = landed.lines
    envelope = json.loads(first)
    broken = [
        b"{not json\n",
        first[:-20] + b"\n",
        first.rstrip() + second,  # two records run together
        json.dumps({**envelope, "sequence_number": "12a"}).encode() + b"\n",
        json.dumps({**envelope, "new_image": None}).encode() + b"\n",
        json.dumps({**envelope, "keys": None}).encode() + b"\n",
        json.dumps({**envelope, "keys": {"id": 5}}).encode() + b"\n",
        b'"\x01"\n',
        b"[]\n",
    ]
    lake.write(landed.key, gzip.compress(first + b"".join(broken) + second))
    lake.conform()

    assert sorted((row["id"], row["v"]) for row in lake.rows(lake.item_types[0])) == [("a", 1), ("b", 2)]
    refused = sorted((each["line"], each["reason"], each["object_key"]) for each in lake.quarantined())
    reasons = ["not_json"] * 3 + ["not_an_envelope"] * 3 + ["wrong_type"] + ["not_json"] * 2
    assert refused == [(2 + index, reason, landed.key) for index, reason in enumerate(reasons)]


def test_removal_closes_history_and_late_changes_find_their_place(new_lake: NewLake) -> None:
    lake = new_lake({"v": "long"})
    inserted = change(lake, 9, "k", {"v": {"N": "1"}}, at=100)
    modified = change(lake, 10, "k", {"v": {"N": "2"}}, {"v": {"N": "1"}}, at=200)
    removed = change(lake, 10**39, "k", None, {"v": {"N": "2"}}, at=300, expired=True)

    lake.land([removed])
    lake.conform()
    assert lake.rows(lake.item_types[0]) == []
    lake.land([modified])
    lake.conform()
    assert lake.rows(lake.item_types[0]) == [], (
        "a change from before the removal does not bring the item back"
    )
    lake.land([inserted])
    last = lake.conform()

    history = sorted(lake.rows(lake.item_types[0], "_history"), key=lambda row: int(row["_sequence_number"]))
    shown = [
        (r["_event_name"], r["v"], r["_valid_from"][-5:], r["_valid_to"][-5:], r["_expired"]) for r in history
    ]
    assert shown == [
        ("INSERT", 1, "01:40", "03:20", False),
        ("MODIFY", 2, "03:20", "05:00", False),
        ("REMOVE", None, "05:00", "05:00", True),
    ]
    assert not any(row["_is_current"] for row in history)
    assert [row["_run_id"] == last.run_id for row in history] == [True, False, False]


def test_an_item_that_becomes_another_type_leaves_the_first(
    spark: SparkSession, mirror: Path, landing_uri: str, tmp_path: Path
) -> None:
    kinds = [
        declare(tmp_path, name, "table-kinds", match={"kind": name}, keys=ID, attributes={"kind": "string"})
        for name in ("KindOne", "KindTwo")
    ]
    lake = Lake(spark, mirror / LANDING_BUCKET, landing_uri, kinds, "conform_kinds")
    one, two, none = ({"kind": {"S": kind}} for kind in ("KindOne", "KindTwo", "KindThree"))
    lake.land([change(lake, 1, "a", one), change(lake, 2, "b", one)])
    lake.conform()
    lake.land([change(lake, 3, "a", two, one), change(lake, 4, "b", none, one)])
    lake.conform()

    assert lake.rows(kinds[0]) == []
    assert [(row["id"], row["kind"]) for row in lake.rows(kinds[1])] == [("a", "KindTwo")]
    history = {(row["id"], row["_event_name"]) for row in lake.rows(kinds[0], "_history")}
    assert history == {("a", "INSERT"), ("a", "REMOVE"), ("b", "INSERT"), ("b", "REMOVE")}


def test_a_refused_change_leaves_the_last_good_version_until_a_good_one_comes(new_lake: NewLake) -> None:
    lake = new_lake({"v": "long"})
    lake.land([change(lake, 1, "k", {"v": {"N": "1"}}), change(lake, 2, "k", {"v": {"S": "x"}}, {})])
    run = lake.conform()
    assert [row["v"] for row in lake.rows(lake.item_types[0])] == [1]
    assert run.quarantined == {"wrong_type": 1}
    lake.land([change(lake, 3, "k", {"v": {"N": "3"}}, {})])
    lake.conform()
    assert [row["v"] for row in lake.rows(lake.item_types[0])] == [3]


@pytest.mark.parametrize("fails_at", ["quarantine", "current", "history", "ledger"])
def test_a_job_killed_anywhere_can_run_again(
    new_lake: NewLake, monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    lake = new_lake({"v": "long"})
    item_type = lake.item_types[0]
    lake.land([change(lake, 1, "k", {"v": {"N": "1"}})])
    lake.conform()
    lake.land([change(lake, 2, "k", {"v": {"N": "2"}}, {}), change(lake, 3, "x", {"v": {"S": "bad"}})])

    class Killed(BaseException):
        """As a kill: nothing catches it."""

    def killing(real: Any, dies: Callable[..., bool]) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = real(*args, **kwargs)
            if dies(*args):
                raise Killed
            return result

        return wrapped

    with monkeypatch.context() as patch:
        if fails_at in ("current", "history"):
            suffix = "_history" if fails_at == "history" else item_type.sql_name
            patch.setattr(item_tables, "_write", killing(_write, lambda *a: a[2].endswith(suffix)))
        elif fails_at == "quarantine":
            patch.setattr(items, "quarantine", killing(quarantine, lambda *_: True))
        else:
            patch.setattr(items, "record", killing(lambda *_: None, lambda *_: True))
        with pytest.raises(Killed):
            lake.conform()
    again = lake.conform()

    assert [row["v"] for row in lake.rows(item_type)] == [2]
    history = sorted(
        (r["_sequence_number"], r["_valid_to"] is None) for r in lake.rows(item_type, "_history")
    )
    assert history == [("1", False), ("2", True)]
    assert again.inputs[f"{item_type.sql_name}_objects"] == 1, "only what no run had recorded is read again"
    assert lake.conform().inputs[f"{item_type.sql_name}_objects"] == 0
    bad = [
        key
        for key in (lake.landing / "quarantine").rglob("*.gz")
        if b'"bad"' in gzip.decompress(key.read_bytes())
    ]
    assert len(bad) >= 1


def test_nothing_new_commits_nothing(new_lake: NewLake) -> None:
    lake = new_lake({"v": "long"})
    lake.land([change(lake, 1, "k", {"v": {"N": "1"}})])
    lake.conform()
    name = f"lake.watershed_conformed.{lake.item_types[0].sql_name}"
    before = [lake.spark.table(f"{name}{suffix}.snapshots").count() for suffix in ("", "_history")]
    lake.land([change(lake, 1, "k", {"v": {"N": "1"}}), change(lake, 1, "k", {"v": {"N": "1"}})])
    run = lake.conform()
    assert set(run.written.values()) == {0}
    after = [lake.spark.table(f"{name}{suffix}.snapshots").count() for suffix in ("", "_history")]
    assert before == after


def test_a_new_attribute_is_added_and_a_full_run_fills_it(new_lake: NewLake, tmp_path: Path) -> None:
    lake = new_lake({"v": "decimal(10,2)"})
    before = lake.item_types[0]
    lake.land([change(lake, 1, "k", {"v": {"N": "1"}, "w": {"N": "5"}})])
    lake.conform()
    assert [row["_extra"] for row in lake.rows(before)] == ['{"w":5}']

    wider = {"v": "decimal(20,2)", "w": "long"}
    lake.item_types = [declare(tmp_path, before.name, before.table_name, keys=ID, attributes=wider)]
    lake.land([change(lake, 2, "z", {"v": {"N": "123456789012.5"}, "w": {"N": "6"}})])
    lake.conform()
    assert {row["id"]: (row["w"], row["_extra"]) for row in lake.rows(before)} == {
        "k": (None, '{"w":5}'),
        "z": (6, None),
    }
    lake.conform(full=True)
    assert {row["id"]: (row["w"], row["_extra"]) for row in lake.rows(before)} == {
        "k": (5, None),
        "z": (6, None),
    }

    lake.item_types = [declare(tmp_path, before.name, before.table_name, keys=ID, attributes={"v": "string"})]
    lake.land([change(lake, 3, "z", {"v": {"S": "x"}})])
    with pytest.raises(TableError, match="which Iceberg cannot turn it into"):
        lake.conform()


def test_a_mark_has_landing_objects_read_again_and_what_now_holds_leaves_quarantine(
    new_lake: NewLake, tmp_path: Path
) -> None:
    lake = new_lake({"v": "long"})
    (landed,) = lake.land(
        [change(lake, 1, "a", {"v": {"N": "1.5"}}), change(lake, 2, "b", {"v": {"S": "no"}})]
    )
    lake.land([change(lake, 3, "c", {"v": {"N": "3"}})])
    lake.conform()
    assert {each["line"] for each in lake.quarantined()} == {1, 2}
    # The declaration was wrong; a column cannot change its type, so the attribute gets a new one.
    item_type = lake.item_types[0]
    attributes = {"v": {"type": "decimal(9,2)", "description": "v", "column": "v_exact"}}
    lake.item_types = [
        declare(tmp_path, item_type.name, item_type.table_name, keys=ID, attributes=attributes)
    ]
    lake.write(mark_key(lake.job, "now"), mark_body(keys=[landed.key]))

    run = lake.conform()
    assert run.inputs[f"{item_type.sql_name}_objects"] == 1, "the other object is not read again"
    assert run.inputs["quarantine_retried"] == 2
    assert {row["id"]: row["v_exact"] for row in lake.rows(lake.item_types[0])} == {
        "a": Decimal("1.50"), "c": None,
    }  # fmt: skip
    (left,) = lake.quarantined()
    assert (left["line"], left["reason"], left["run_id"]) == (2, "wrong_type", run.run_id)
    assert lake.conform().inputs[f"{item_type.sql_name}_objects"] == 0, "a mark counts once"


def test_a_mark_stands_until_every_type_has_read_what_it_asks_for(
    new_lake: NewLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = new_lake({"v": "long"})
    lake.land([change(lake, 1, "a", {"v": {"N": "1"}})])
    lake.conform()
    lake.write(mark_key(lake.job, "all"), mark_body(since=datetime.fromtimestamp(0, UTC)))
    with monkeypatch.context() as broken:
        broken.setattr(items, "read_changes", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            lake.conform()
    before = lake.rows(lake.item_types[0])
    run = lake.conform()
    assert run.inputs[f"{lake.item_types[0].sql_name}_objects"] == 1
    assert lake.rows(lake.item_types[0]) == before, "merging twice changes nothing"
    assert run.written == {} or set(run.written.values()) == {0}


def test_a_key_is_found_again_after_it_was_widened(new_lake: NewLake, tmp_path: Path) -> None:
    """Else the item would be there twice."""
    keys = {"amount-1": "decimal(9,2)", "ms": "timestamp_millis"}
    lake = new_lake({"v": "long"}, keys=keys)
    (before,) = lake.item_types

    def changed(sequence: int) -> dict[str, Any]:
        key = {"amount-1": {"N": "1.50"}, "ms": {"N": "1772000000123"}}
        return stream_record(before.table_name, sequence, key, {"v": {"N": str(sequence)}})

    lake.land([changed(1)])
    lake.conform()
    wider = {**keys, "amount-1": "decimal(30,2)"}
    lake.item_types = [
        declare(tmp_path, before.name, before.table_name, keys=wider, attributes={"v": "long"})
    ]
    lake.land([changed(2)])
    lake.conform()

    assert [row["v"] for row in lake.rows(lake.item_types[0])] == [2]
    history = [(row["v"], row["_is_current"]) for row in lake.rows(lake.item_types[0], "_history")]
    assert sorted(history) == [(1, False), (2, True)]


def test_more_digits_are_taken_over(new_lake: NewLake, tmp_path: Path) -> None:
    lake = new_lake({"v": "decimal(5,2)"})
    lake.land([change(lake, 1, "a", {"v": {"N": "123.45"}})])
    lake.conform()
    item_type = lake.item_types[0]
    wider = declare(
        tmp_path, item_type.name, item_type.table_name, keys=ID, attributes={"v": "decimal(20,2)"}
    )
    lake.item_types = [wider]
    lake.land([change(lake, 2, "b", {"v": {"N": "123456789012345678.90"}})])
    lake.conform()
    assert {row["id"]: row["v"] for row in lake.rows(wider)} == {
        "a": Decimal("123.45"), "b": Decimal("123456789012345678.90"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("held", "declared"),
    [
        ("decimal(9,2)", "decimal(5,2)"),
        ("decimal(9,2)", "decimal(12,3)"),
        ("long", "decimal(20,0)"),
        ("long", "double"),
        ("string", "string_set"),
    ],
)
def test_any_other_change_of_a_type_is_refused_before_a_row_is_touched(
    new_lake: NewLake, tmp_path: Path, held: str, declared: str
) -> None:
    lake = new_lake({"v": held})
    lake.land([change(lake, 1, "a", {"v": {"S": "1"} if held == "string" else {"N": "1"}})])
    lake.conform()
    before = lake.rows(lake.item_types[0])
    item_type = lake.item_types[0]
    lake.land([change(lake, 2, "a", {"w": {"S": "x"}}, {"v": {"N": "1"}})])
    lake.item_types = [
        declare(tmp_path, item_type.name, item_type.table_name, keys=ID, attributes={"v": declared})
    ]
    with pytest.raises(TableError, match="cannot turn it into"):
        lake.conform()
    lake.item_types = [item_type]
    assert lake.rows(item_type) == before


def test_a_key_type_that_two_keys_can_share_is_refused(tmp_path: Path) -> None:
    item_type = declare(tmp_path, "Odd", "table-odd", keys={"id": "double"}, attributes={"v": "long"})
    with pytest.raises(KeyTypeError, match="'id' of Odd is declared double"):
        table_specs(item_type)


def test_normal_reads_numbers_as_written() -> None:
    assert normal('{"a":1.50}') == {"a": "1.50"}
