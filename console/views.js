// The elements that show what the API tells. Text goes in as text alone, never as HTML.

import { ago, count, kind, runStatus, size, took, words } from "./format.js";
import { end, extent, place } from "./timeline.js";

const SHOWN = 10;

/** An element; properties are set as such, `data` and `aria` as their attributes. */
export function element(tag, { data, aria, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  Object.assign(made.dataset, data);
  for (const [name, value] of Object.entries(aria ?? {})) made.setAttribute(`aria-${name}`, value);
  made.append(...children);
  return made;
}

function time(at, now) {
  const date = new Date(at * 1000);
  return element("time", { dateTime: date.toISOString(), title: date.toLocaleString() }, ago(at, now));
}

/** How long it took, or goes on so far. */
function lasted(span, now) {
  const length = took(span.started_at, end(span, now));
  return span.ended_at === undefined ? `${length} so far` : length;
}

function badge(status) {
  return element("span", { className: `badge ${kind(status)}` }, words(status));
}

/** A table. A phone shows its rows one below the other, which would cost it the roles that it has by itself.
 *  `columns` whose names end in `#` hold numbers; a row of one cell alone is the title of those below it. */
function grid(columns, rows) {
  const names = columns.map((name) => name.replace("#", ""));
  const className = columns.map((name) => (name.endsWith("#") ? "number" : ""));
  const head = names.map((name, at) =>
    element("th", { role: "columnheader", scope: "col", className: className[at] }, name),
  );
  const body = rows.map(([first, ...cells]) =>
    cells.length
      ? element(
          "tr",
          { role: "row" },
          element("th", { role: "rowheader", scope: "row" }, first),
          ...cells.map((cell, at) =>
            element(
              "td",
              { role: "cell", className: className[at + 1], data: { column: names[at + 1] } },
              cell,
            ),
          ),
        )
      : element(
          "tr",
          { role: "row", className: "zone" },
          element("th", { role: "rowheader", scope: "rowgroup", colSpan: columns.length }, first),
        ),
  );
  return element(
    "table",
    { role: "table" },
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...head)),
    element("tbody", { role: "rowgroup" }, ...body),
  );
}

function nothing(text) {
  return element("p", { className: "nothing" }, text);
}

/** Tells that more was found than is shown. */
function more(list) {
  if (list.length <= SHOWN) return "";
  return element("p", { className: "more" }, `The latest ${SHOWN} of ${list.length}; the API has the others.`);
}

/** What is shown until the first answer, and where there was none: why, and a button that asks again. */
export function loading() {
  return nothing("Loading …");
}

export function failed(error, again) {
  const button = element("button", { type: "button", className: "quiet" }, "Ask again");
  button.addEventListener("click", again);
  return element("div", {}, element("p", { className: "error" }, error.message), button);
}

/** The figures above everything else, of what has been fetched so far. */
export function glance({ tables = [], exports = [], runs = [], quarantine }, now) {
  const figures = [];
  const figure = (name, value, note) =>
    figures.push(
      element("div", {}, element("dt", {}, name), element("dd", {}, value, element("small", {}, note))),
    );
  const strong = (text) => element("strong", {}, text);
  const rows = tables.reduce((sum, each) => sum + each.rows, 0);
  figure("Tables", strong(count(tables.length)), `${count(rows)} rows`);
  const published = Math.max(...tables.map((each) => each.published_at ?? 0));
  figure("Last published", strong(published > 0 ? ago(published, now) : "never"), waiting(tables));
  const [run] = runs;
  figure("Last run", run ? badge(runStatus(run)) : strong("none"), run ? ago(run.started_at, now) : "");
  const [last] = exports;
  figure("Last export", last ? badge(last.status) : strong("none"), last ? ago(last.started_at, now) : "");
  if (quarantine) {
    const objects = quarantine.quarantine.reduce((sum, each) => sum + each.objects, 0);
    const at = quarantine.complete ? "" : "over ";
    figure("In quarantine", strong(at + count(objects)), objects === 1 ? "object" : "objects");
  }
  return figures;
}

function waiting(tables) {
  const late = tables.filter((each) => each.failed_at !== undefined).length;
  if (!late) return "no newer rows wait";
  return `newer rows of ${count(late)} table${late === 1 ? "" : "s"} wait`;
}

const ZONES = ["curated", "curated_deid", "conformed"];

/** Tables with rows and freshness, those that analysts use first; `sought` is part of a name. */
export function tables(list, now, sought) {
  if (!list.length) return nothing("There are no tables yet: a run makes them.");
  const found = list.filter((each) => each.table.includes(sought.trim().toLowerCase()));
  if (!found.length) return nothing(`No table has “${sought.trim()}” in its name.`);
  const rows = ZONES.flatMap((zone) => {
    const own = found.filter((each) => each.table.startsWith(`${zone}.`));
    return own.length ? [[`${zone} (${own.length})`], ...own.map((each) => row(each, now))] : [];
  });
  return grid(["Table", "Rows#", "Published", "Audit"], rows);
}

function row(table, now) {
  return [
    table.table,
    count(table.rows),
    table.published_at === undefined ? "never" : time(table.published_at, now),
    audit(table, now),
  ];
}

function audit(table, now) {
  if (table.failed_at === undefined) {
    // What is conformed is as it came: only what analysts use is audited.
    return table.published_at !== undefined && !table.table.startsWith("conformed.") ? "passed" : "";
  }
  return element("span", { className: "badge bad" }, "newer rows wait or failed, ", time(table.failed_at, now));
}

/** What lies in quarantine. */
export function quarantine({ quarantine: list, complete }, now) {
  if (!list.length) return nothing("Nothing is in quarantine.");
  const rows = list.map((each) => [
    each.reason.replaceAll("_", " "),
    each.source.replaceAll("_", " "),
    count(each.objects),
    size(each.bytes),
    time(each.first_at, now),
    time(each.latest_at, now),
  ]);
  const shown = grid(["Reason", "Source", "Objects#", "Size#", "First", "Latest"], rows);
  const text = "There is more than was counted; the landing bucket has all of it.";
  return complete ? shown : element("div", {}, shown, element("p", { className: "more" }, text));
}

/** Exports, the latest first. */
export function exports(list, now) {
  if (!list.length) return nothing("Nothing was exported yet.");
  const rows = list.slice(0, SHOWN).map((each) => [
    each.name,
    badge(each.status),
    time(each.started_at, now),
    lasted(each, now),
  ]);
  return element("div", {}, grid(["Export", "Status", "Started", "Duration"], rows), more(list));
}

function track(where, status) {
  const bar = element("span", { className: `bar ${kind(status)}` });
  if (where) {
    // Set by script, one by one, which a policy without inline styles allows.
    bar.style.setProperty("left", `${where.left}%`);
    bar.style.setProperty("width", `${where.width}%`);
  }
  return element("span", { className: "track", aria: { hidden: "true" } }, bar);
}

/**
 * Runs on one timeline; opening one calls `open` with its id, which gives its jobs and crawls. `opened` are the
 * ids of those that are open already, with what they show until then.
 */
export function runs(all, now, opened, open) {
  if (!all.length) return nothing("There was no run yet: an export starts one.");
  const list = all.slice(0, SHOWN);
  const places = place(list, now);
  const items = list.map((run, index) => {
    const status = runStatus(run);
    const inside = element("div", { className: "nodes" }, opened.get(run.id) ?? "…");
    const shown = element(
      "details",
      { data: { run: run.id }, open: opened.has(run.id) },
      element(
        "summary",
        {},
        badge(status),
        " started ",
        time(run.started_at, now),
        `, ${lasted(run, now)}`,
        track(places[index], status),
      ),
      inside,
    );
    shown.addEventListener("toggle", async () => {
      if (shown.open) inside.replaceChildren(await open(run.id));
    });
    return element("li", {}, shown);
  });
  const { from, until } = extent(list, now);
  const scale = `From ${new Date(from * 1000).toLocaleString()} to ${new Date(until * 1000).toLocaleString()}`;
  return element(
    "div",
    {},
    element("p", { className: "scale" }, scale),
    element("ol", { className: "timeline" }, ...items),
    more(all),
  );
}

/** The jobs and crawls of a run, on a timeline of their own. */
export function nodes(run, now) {
  const list = run.nodes ?? [];
  const id = element("p", {}, element("code", {}, run.id));
  if (!list.length) return element("div", {}, id, "Nothing of it began yet.");
  const places = place(list, now);
  const items = list.map((node, index) =>
    element(
      "li",
      {},
      badge(node.state),
      ` ${node.kind} ${node.name}`,
      node.started_at === undefined ? "" : `, ${lasted(node, now)}`,
      track(places[index], node.state),
      node.error ? element("p", { className: "error" }, node.error) : "",
    ),
  );
  return element("div", {}, id, element("ol", { className: "timeline" }, ...items));
}

/** A line of the log. */
export function line(at, text, status) {
  const date = new Date(at);
  return element(
    "li",
    {},
    element("time", { dateTime: date.toISOString() }, date.toLocaleTimeString()),
    " ",
    element("span", { className: `badge ${kind(status)}` }, text),
  );
}
