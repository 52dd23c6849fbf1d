"""What a deployment costs a month: `python -m infra.cost --help`.

Prices are list prices of us-east-1 in dollars, as known in November 2026; look yours up before you decide on them.
HealthLake and the item tables themselves are yours already, and not counted. docs/cost.md is written by
`python -m infra.cost --write`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from math import inf
from pathlib import Path
from typing import Any

from infra.workflow import STEPS

PAGE = Path(__file__).parents[1] / "docs" / "cost.md"
_BEGIN, _END = "<!-- reckoned by: python -m infra.cost --write -->\n", "<!-- end -->\n"

HOURS = 720
"""In a month of thirty days."""

_JOBS = sum(node.kind == "job" for step in STEPS for node in step.starts)
_CRAWLS = sum(node.kind == "crawler" for step in STEPS for node in step.starts)
_CRAWL_MINUTES = 10
"""The least that Glue bills for a crawl."""


@dataclass(frozen=True)
class Prices:
    """Dollars, each for what its name says."""

    glue_dpu_hour: float = 0.44
    step_functions_million: float = 25.0
    lambda_million: float = 0.20
    lambda_gb_second: float = 0.0000133334
    sqs_million: float = 0.40
    events_million: float = 1.00
    pipes_million: float = 0.40
    s3_gb_month: float = 0.023
    s3_put_thousand: float = 0.005
    kms_key_month: float = 1.0
    kms_ten_thousand: float = 0.03
    logs_gb: float = 0.50
    alarm_month: float = 0.10
    metric_month: float = 0.30
    dashboard_month: float = 3.0
    athena_tb: float = 5.0
    dynamodb_write_million: float = 0.625


def _assumed(default: Any, what: str, least: float = 0, most: float = inf) -> Any:
    return field(default=default, metadata={"what": what, "least": least, "most": most})


@dataclass(frozen=True)
class Use:
    """A month of a deployment; each field is an option of the calculator."""

    export_minutes: int = _assumed(60, "between exports, each of which a run of the workflow follows", 1)
    quiet_percent: float = _assumed(
        0.0, "of crawls that find no event and are not billed, with crawl: events", most=100
    )
    glue_workers: int = _assumed(2, "of each job", 2)
    job_minutes: float = _assumed(2.0, "that each job takes; Glue bills one at least")
    item_changes: int = _assumed(1_000_000, "a month")
    changes_per_object: int = _assumed(
        50, "that land together: more of a busy table, fewer of a quiet one", 1
    )
    stored_gb: float = _assumed(60.0, "in S3")
    scanned_gb: float = _assumed(200.0, "by Athena")
    logs_gb: float = _assumed(5.0, "in CloudWatch")
    curated_tables: int = _assumed(50, "with two alarms and two figures each")
    fan_out: bool = _assumed(True, "whether changes are told on the event bus")


@dataclass(frozen=True)
class Line:
    what: str
    reckoned: str
    dollars: float


def monthly(use: Use, prices: Prices = Prices()) -> list[Line]:
    """What each part costs a month."""
    runs = HOURS * 60 / use.export_minutes
    minutes = max(use.job_minutes, 1.0)
    objects = use.item_changes / use.changes_per_object
    tables = use.curated_tables
    alarms, metrics = 30 + 2 * tables, 4 * _JOBS + 2 * tables
    jobs = runs * _JOBS * use.glue_workers * minutes / 60 * prices.glue_dpu_hour
    crawls = runs * _CRAWLS * _CRAWL_MINUTES / 60 * prices.glue_dpu_hour * (1 - use.quiet_percent / 100)
    steps = runs * 30 / 1e6 * prices.step_functions_million
    # Each batch is an invocation of half a GB for about a second; an export some ten of a quarter.
    functions = (objects + 10 * runs) / 1e6 * prices.lambda_million
    functions += (objects * 0.5 + runs * 10 * 0.25) * prices.lambda_gb_second
    storage = use.stored_gb * prices.s3_gb_month + (objects + 200 * runs) / 1000 * prices.s3_put_thousand
    keys = prices.kms_key_month + (objects + 500 * runs) / 10_000 * prices.kms_ten_thousand
    told = use.item_changes / 1e6 if use.fan_out else 0.0
    each_told = (
        prices.pipes_million + prices.events_million + 3 * prices.sqs_million + prices.dynamodb_write_million
    )
    return [
        Line(
            "Glue jobs",
            f"{_JOBS} jobs × {use.glue_workers} DPU × {minutes:g} min × ${prices.glue_dpu_hour} per DPU-hour, each run",
            jobs,
        ),
        Line(
            "Glue crawlers",
            f"{_CRAWLS} crawls × {_CRAWL_MINUTES} min, the least billed, each run",
            crawls,
        ),
        Line("Step Functions", "about 30 transitions an export", steps),
        Line(
            "Lambda",
            f"a batch of {use.changes_per_object} changes is an invocation; ten an export",
            functions,
        ),
        Line("S3", f"{use.stored_gb:g} GB, an object a batch, some 200 files a run", storage),
        Line("KMS", "a key, and a request for what bucket keys do not spare", keys),
        Line("Logs", f"{use.logs_gb:g} GB", use.logs_gb * prices.logs_gb),
        Line(
            "Watching",
            f"about {alarms} alarms and {metrics} figures of {tables} curated tables, a dashboard",
            alarms * prices.alarm_month + metrics * prices.metric_month + prices.dashboard_month,
        ),
        Line(
            "Change bus",
            "a pipe request, an event, three queue requests and a write for each change",
            told * each_told,
        ),
        Line("Athena", f"{use.scanned_gb:g} GB scanned", use.scanned_gb / 1000 * prices.athena_tb),
    ]


def total(lines: Sequence[Line]) -> float:
    return sum(line.dollars for line in lines)


_SCHEDULES = (("hourly", 60), ("every 15 minutes", 15), ("every 5 minutes", 5))


def table(use: Use) -> str:
    """The costs of `use` at several schedules, as a table in Markdown."""
    columns = [monthly(replace(use, export_minutes=minutes)) for _, minutes in _SCHEDULES]
    rows = ["| what | reckoned as | " + " | ".join(name for name, _ in _SCHEDULES) + " |"]
    rows.append("| --- | --- |" + " ---: |" * len(_SCHEDULES))
    for each in zip(*columns, strict=True):
        amounts = " | ".join(f"${line.dollars:,.0f}" for line in each)
        rows.append(f"| {each[0].what} | {each[0].reckoned} | {amounts} |")
    totals = " | ".join(f"**${total(column):,.0f}**" for column in columns)
    return "\n".join([*rows, f"| **a month** | | {totals} |", ""])


def page(text: str) -> str:
    """The page with its table as it is reckoned now."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{table(Use())}{_END}{after}"


def _number(about: Field[Any]) -> Callable[[str], float]:
    """What reads an option, and refuses what nothing can be reckoned with."""

    def read(text: str) -> float:
        number = int(text) if about.type == "int" else float(text)
        if number < about.metadata["least"]:
            raise argparse.ArgumentTypeError(f"must be {about.metadata['least']:g} or more")
        if number > about.metadata["most"]:
            raise argparse.ArgumentTypeError(f"must be {about.metadata['most']:g} or less")
        return number

    return read


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m infra.cost",
        description="What a deployment costs a month, in dollars, at list prices of us-east-1.",
    )
    for each in fields(Use):
        option = f"--{each.name.replace('_', '-')}"
        told = f"{each.metadata['what']}; {each.default} unless given"
        if each.type == "bool":
            parser.add_argument(
                option, action=argparse.BooleanOptionalAction, default=each.default, help=told
            )
        else:
            parser.add_argument(option, type=_number(each), default=each.default, help=told, metavar="N")
    parser.add_argument("--write", action="store_true", help="write docs/cost.md instead")
    given = vars(parser.parse_args(argv))
    if given.pop("write"):
        PAGE.write_text(page(PAGE.read_text()))
        return
    lines = monthly(Use(**given))
    for line in lines:
        sys.stdout.write(f"{line.dollars:>10,.2f}  {line.what:<16}{line.reckoned}\n")
    sys.stdout.write(f"{total(lines):>10,.2f}  a month\n")


if __name__ == "__main__":
    main(sys.argv[1:])
