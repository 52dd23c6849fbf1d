// The elements that show what the API tells. Text goes in as text alone, never as HTML.

import { ago, count, kind, runStatus, took, words } from "./format.js";
import { end, extent, place } from "./timeline.js";

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

/** A table. A phone shows its rows one below the other, which would cost it the roles that it has by itself. */
function grid(columns, rows, nothing) {
  if (!rows.length) return element("p", {}, nothing);
  const head = columns.map((name) => element("th", { role: "columnheader", scope: "col" }, name));
  const body = rows.map(([first, ...cells]) =>
    element(
      "tr",
      { role: "row" },
      element("th", { role: "rowheader", scope: "row" }, first),
      ...cells.map((cell, index) =>
        element("td", { role: "cell", data: { column: columns[index + 1] } }, cell),
      ),
    ),
  );
  return element(
    "table",
    { role: "table" },
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...head)),
    element("tbody", { role: "rowgroup" }, ...body),
  );
}

/** Tables with rows and freshness. */
export function tables(list, now) {
  const rows = list.map((each) => [
    each.table,
    count(each.rows),
    each.published_at === undefined ? "never" : time(each.published_at, now),
    each.failed_at === undefined
      ? "as published"
      : element("span", { className: "badge bad" }, "newer rows wait or failed, ", time(each.failed_at, now)),
  ]);
  return grid(["Table", "Rows", "Published", "Audit"], rows, "There are no tables yet: a run makes them.");
}

/** Exports. */
export function exports(list, now) {
  const rows = list.map((each) => [
    each.name,
    badge(each.status),
    time(each.started_at, now),
    lasted(each, now),
  ]);
  return grid(["Export", "Status", "Started", "Duration"], rows, "Nothing was exported yet.");
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
export function runs(list, now, opened, open) {
  if (!list.length) return element("p", {}, "There was no run yet: an export starts one.");
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
