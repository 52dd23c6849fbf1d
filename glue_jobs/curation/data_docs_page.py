"""The page of the data docs as HTML: failures first, then warnings, then what holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

FAILED, WARNED, HELD, UNCHECKED = "failed", "warned", "held", "unchecked"
_STATES = (FAILED, WARNED, HELD, UNCHECKED)
_TITLES = {
    FAILED: "Kept back: analysts see the last good version",
    WARNED: "Published with warnings",
    HELD: "Published, everything holds",
    UNCHECKED: "Not audited yet: nothing of them was loaded",
}


@dataclass(frozen=True)
class CheckReport:
    """One expectation and what was found; ``arguments`` is JSON. ``checked`` and ``unexpected`` count rows and are
    None where the expectation is about the table as a whole."""

    expectation: str
    columns: tuple[str, ...]
    arguments: str
    severity: str
    reason: str
    success: bool
    evaluated: bool = True
    checked: int | None = None
    unexpected: int | None = None


@dataclass(frozen=True)
class Report:
    """What the page says of a table: ``failure`` is why it could not be made at all, if so."""

    table: str
    description: str
    rows: int
    published_at: datetime | None
    audited_at: datetime | None
    is_published: bool
    failure: str | None = None
    quarantined: int = 0
    checks: tuple[CheckReport, ...] = ()

    @property
    def state(self) -> str:
        if self.failure or not self.is_published:
            return FAILED
        if self.quarantined or not all(check.success for check in self.checks):
            return WARNED
        return HELD if self.checks else UNCHECKED


def render(reports: Sequence[Report], run_id: str, moment: datetime) -> str:
    """The whole page."""
    by_state = {
        state: sorted((each for each in reports if each.state == state), key=lambda each: each.table)
        for state in _STATES
    }
    tiles = "".join(
        f'<a class="tile {state}" href="#{state}"><b>{len(of)}</b> {escape(_TITLES[state].partition(":")[0].lower())}</a>'
        for state, of in by_state.items()
        if of
    )
    sections = "".join(
        f'<section id="{state}"><h2>{escape(_TITLES[state])}</h2>{"".join(map(_table, of))}</section>'
        for state, of in by_state.items()
        if of
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Watershed data docs</title><style>{_STYLE}</style></head><body><header><h1>Data docs</h1>"
        f"<p>What must hold of each curated table, and what its last audit found. Written by run "
        f"<code>{escape(run_id)}</code> on {_time(moment)}.</p><nav>{tiles}</nav></header>{sections}"
        "<footer>Counts only: no value of any row is on this page. Results of every audit are in "
        "<code>watershed_ops.expectation_result</code>, rows that are held back in "
        "<code>watershed_ops.quarantine</code>.</footer></body></html>\n"
    )


def _table(report: Report) -> str:
    open_ = " open" if report.state in (FAILED, WARNED) else ""
    held = sum(check.success for check in report.checks)
    facts = [f"{report.rows:,} rows"]
    facts += [f"published {_time(report.published_at)}"] if report.published_at else ["never published"]
    facts += [f"{held} of {len(report.checks)} expectations hold"] if report.checks else []
    facts += [f"{report.quarantined:,} rows in quarantine"] if report.quarantined else []
    failure = f'<p class="failure">{escape(report.failure)}</p>' if report.failure else ""
    audited = f"<p>Last audited {_time(report.audited_at)}.</p>" if report.audited_at else ""
    return (
        f'<details id="{escape(report.table)}" class="{report.state}"{open_}><summary><span class="dot"></span>'
        f"<b>{escape(report.table)}</b><span>{escape(' · '.join(facts))}</span></summary>"
        f"<p>{escape(report.description)}</p>{failure}{audited}{_checks(report.checks)}</details>"
    )


def _checks(checks: Iterable[CheckReport]) -> str:
    rows = [
        f'<tr class="{"ok" if check.success else check.severity}"><td>{"✓" if check.success else "✗"}</td>'
        f"<td>{_in_words(check)}</td><td>{_found(check)}</td>"
        f'<td><span class="severity">{escape(check.severity)}</span></td><td>{escape(check.reason)}</td></tr>'
        for check in sorted(checks, key=lambda each: each.success)
    ]
    if not rows:
        return ""
    head = "<tr><th></th><th>Expectation</th><th>Found</th><th>If not</th><th>Why it is there</th></tr>"
    return f'<div class="wide"><table><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'


def _found(check: CheckReport) -> str:
    if not check.evaluated:
        return "could not be evaluated"
    if check.unexpected is None or not check.checked:
        return "holds" if check.success else "does not hold"
    if not check.unexpected:
        return f"all {check.checked:,} rows"
    share = 100 * check.unexpected / check.checked
    return f"{check.unexpected:,} of {check.checked:,} rows do not ({share:.2g} %)"


def _in_words(check: CheckReport) -> str:
    """The expectation as a sentence; of a type without words its name and arguments."""
    arguments: dict[str, Any] = json.loads(check.arguments)
    columns = " and ".join(f"<code>{escape(each)}</code>" for each in check.columns)
    mostly = arguments.get("mostly")
    often = f" in at least {100 * float(mostly):g} % of rows" if mostly is not None else ""
    match check.expectation:
        case "expect_column_values_to_not_be_null":
            said = "is there"
        case "expect_column_values_to_be_unique":
            said = "is unique"
        case "expect_compound_columns_to_be_unique":
            said = "are unique together"
        case "expect_column_values_to_be_in_set":
            said = f"is one of {escape(', '.join(map(str, arguments.get('value_set') or [])))}"
        case "expect_column_values_to_match_regex":
            said = f"matches <code>{escape(str(arguments.get('regex')))}</code>"
        case "expect_column_values_to_be_between":
            low, high = arguments.get("min_value"), arguments.get("max_value")
            said = " and ".join(
                [f"is {'above' if arguments.get('strict_min') else 'at least'} {escape(str(low))}"]
                * (low is not None)
                + [f"is {'below' if arguments.get('strict_max') else 'at most'} {escape(str(high))}"]
                * (high is not None)
            )
        case "expect_column_pair_values_to_be_equal":
            said = "are equal"
        case "expect_column_pair_values_a_to_be_greater_than_b":
            first, second = (f"<code>{escape(each)}</code>" for each in check.columns)
            return f"{first} is {'not less than' if arguments.get('or_equal') else 'greater than'} {second}{often}"
        case _:
            rest = {name: each for name, each in arguments.items() if name not in ("column", "mostly")}
            shown = f" {escape(json.dumps(rest))}" if rest else ""
            return f"{columns} {escape(check.expectation.removeprefix('expect_').replace('_', ' '))}{shown}{often}"
    return f"{columns} {said}{often}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


_STYLE = """
:root{color-scheme:light dark;--bg:#fafafa;--card:#fff;--ink:#1c2430;--soft:#5d6878;--line:#e1e5ea;
--failed:#c62828;--warned:#b26a00;--held:#2e7d32;--unchecked:#78828f}
@media (prefers-color-scheme:dark){:root{--bg:#14181d;--card:#1c2229;--ink:#e6eaef;--soft:#9aa5b1;--line:#2d353e;
--failed:#ef6b6b;--warned:#e6a23c;--held:#66bb6a;--unchecked:#8a94a0}}
body{margin:0 auto;max-width:70rem;padding:2rem 1.25rem;background:var(--bg);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.7rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .6rem}p{margin:.4rem 0}
header p,footer,summary span,details>p{color:var(--soft)}footer{margin-top:2.5rem;font-size:.87rem}
nav{display:flex;flex-wrap:wrap;gap:.7rem;margin-top:1.2rem}
.tile{flex:1 1 12rem;padding:.7rem 1rem;border-radius:8px;background:var(--card);border:1px solid var(--line);
border-left:4px solid var(--state);color:var(--ink);text-decoration:none}.tile b{font-size:1.4rem;margin-right:.3rem}
.failed{--state:var(--failed)}.warned{--state:var(--warned)}.held{--state:var(--held)}
.unchecked{--state:var(--unchecked)}
details{background:var(--card);border:1px solid var(--line);border-radius:8px;margin:.45rem 0;padding:.55rem .9rem}
summary{cursor:pointer;display:flex;flex-wrap:wrap;gap:.3rem .7rem;align-items:baseline}
.dot{width:.65rem;height:.65rem;border-radius:50%;background:var(--state)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;margin:.6rem 0 .3rem;font-size:.92rem}
th{text-align:left;font-weight:600;color:var(--soft)}
th,td{padding:.35rem .6rem;border-top:1px solid var(--line);vertical-align:top}thead th{border-top:0}
td:nth-child(3),td:nth-child(4){white-space:nowrap}tr.ok td:first-child{color:var(--held)}
tr.halt td:first-child,tr.halt td:nth-child(3),tr.quarantine td:first-child,.failure{color:var(--failed)!important}
tr.warn td:first-child,tr.warn td:nth-child(3){color:var(--warned)}
code{font:.92em ui-monospace,monospace}.severity{color:var(--soft)}
"""
