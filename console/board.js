// The lists of the page: fetched from the API, kept, and shown.

import * as views from "./views.js";

const $ = (id) => document.getElementById(id);
const seconds = () => Date.now() / 1000;

const GATHER_MS = 400; // a commit of many tables is many messages, and one request

const PATHS = { tables: "/tables", exports: "/exports", runs: "/runs", quarantine: "/quarantine" };
export const ALL = Object.keys(PATHS);

export class Board {
  #kept = {};
  #stale = new Set();
  #gathering;
  #asked = 0;
  #turns = {}; // how often each list was asked for
  #shown = {}; // and which of these answers it shows

  /** After each time that lists were fetched `fetched` is told what went wrong, if anything. */
  constructor(api, fetched) {
    Object.assign(this, { api, fetched });
    $("sought").addEventListener("input", () => this.#show("tables"));
  }

  /** As it is before anybody signed in; answers that are under way are not shown any more. */
  clear() {
    this.#asked += 1;
    this.#kept = {};
    this.#stale.clear();
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    $("sought").value = "";
    for (const id of [...ALL, "glance"]) $(id).replaceChildren();
  }

  /** Fetch lists and show them. */
  async refresh(names) {
    const asked = this.#asked;
    const errors = await Promise.all(names.map((name) => this.#fetch(name)));
    if (asked === this.#asked) this.fetched(errors.find(Boolean));
  }

  /** The same in a moment, once for all that is asked meanwhile. */
  refreshSoon(names) {
    names.forEach((name) => this.#stale.add(name));
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      const stale = [...this.#stale];
      this.#stale.clear();
      this.refresh(stale);
    }, GATHER_MS);
  }

  /** Show what is kept as of now: `3 minutes ago` grows old by itself. */
  age() {
    Object.keys(this.#kept).filter((name) => name !== "runs").forEach((name) => this.#show(name));
  }

  /** The error, where there was one. An answer that another overtook says nothing any more. */
  async #fetch(name) {
    const asked = this.#asked;
    const turn = (this.#turns[name] = (this.#turns[name] ?? 0) + 1);
    const isLate = () => asked !== this.#asked || turn < (this.#shown[name] ?? 0);
    if (!(name in this.#kept)) $(name).replaceChildren(views.loading());
    $(name).setAttribute("aria-busy", "true");
    try {
      const answer = await this.api.get(PATHS[name]);
      if (isLate()) return undefined;
      this.#shown[name] = turn;
      this.#kept[name] = name === "quarantine" ? answer : sorted(name, answer[name]);
      this.#show(name);
      return undefined;
    } catch (error) {
      if (isLate()) return undefined;
      // What was fetched before is still worth seeing.
      if (!(name in this.#kept)) $(name).replaceChildren(views.failed(error, () => this.refresh([name])));
      return error;
    } finally {
      if (turn === this.#turns[name]) $(name).removeAttribute("aria-busy");
    }
  }

  #show(name) {
    const [kept, now] = [this.#kept[name], seconds()];
    $("glance").replaceChildren(...views.glance(this.#kept, now));
    if (name === "runs") this.#showRuns(kept, now);
    else if (kept) $(name).replaceChildren(views[name](kept, now, $("sought").value));
  }

  /** Runs that somebody opened stay open, and the one with the focus keeps it. */
  #showRuns(runs, now) {
    const open = [...$("runs").querySelectorAll("details[open]")];
    const opened = new Map(open.map((each) => [each.dataset.run, each.querySelector(".nodes").firstChild]));
    const focused = document.activeElement?.closest("#runs details")?.dataset.run;
    $("runs").replaceChildren(views.runs(runs, now, opened, (id) => this.#nodesOf(id)));
    if (focused) $("runs").querySelector(`[data-run="${CSS.escape(focused)}"] summary`)?.focus();
  }

  async #nodesOf(id) {
    try {
      return views.nodes(await this.api.get(`/runs/${encodeURIComponent(id)}`), seconds());
    } catch (error) {
      return error.message;
    }
  }
}

function sorted(name, list) {
  return name === "tables" ? list : list.sort((one, other) => other.started_at - one.started_at);
}
