// The page: who is signed in, what is shown, and what is fetched again when the socket tells of something.

import { Api, ApiError } from "./api.js";
import { Live, sentence, touched } from "./live.js";
import { scopes, SignInError, UserPool } from "./sign_in.js";
import * as views from "./views.js";

const $ = (id) => document.getElementById(id);
const seconds = () => Date.now() / 1000;

const REFRESH_MS = 30 * 1000;
const BY_THEMSELVES = ["exports", "runs"]; // start without being told of over the socket
const GATHER_MS = 400; // a commit of many tables is many messages, and one request
const RENEW_BEFORE = 60;
const LOG_LINES = 50;
const READ = "watershed/read";
const START = "watershed/start";

const config = await (await fetch("config.json")).json();
const pool = new UserPool(config.identityUrl, config.clientId);
const api = new Api(config.apiUrl, accessToken);
let tokens, renewing, live, isLive, timer, step;
const stale = new Set();
let gathering, notFetched;

async function accessToken() {
  if (!tokens) throw new Error("Sign in first.");
  if (tokens.until - seconds() >= RENEW_BEFORE) return tokens.access;
  const before = tokens;
  renewing ??= pool.renew(before).finally(() => (renewing = undefined));
  const renewed = await renewing;
  // Meanwhile somebody may have signed out, and in again.
  if (tokens === before) tokens = renewed;
  return accessToken();
}

function isOver(error) {
  return error instanceof SignInError
    ? error.type?.endsWith("NotAuthorizedException")
    : error instanceof ApiError && error.status === 401;
}

function problem(error) {
  $("problem").hidden = !error;
  $("problem").textContent = error?.message ?? "";
}

// What is shown

const shown = {
  tables: async () => views.tables((await api.get("/tables")).tables, seconds()),
  exports: async () => views.exports((await api.get("/exports")).exports, seconds()),
  async runs() {
    const { runs } = await api.get("/runs");
    const open = [...$("runs").querySelectorAll("details[open]")];
    const opened = new Map(open.map((each) => [each.dataset.run, each.querySelector(".nodes").firstChild]));
    const latest = runs.sort((one, other) => other.started_at - one.started_at);
    return views.runs(latest, seconds(), opened, nodesOf);
  },
};
const ALL = Object.keys(shown);

async function put(name) {
  const view = await shown[name]();
  if (!tokens) return;
  const focused = document.activeElement?.closest(`#${name} details`)?.dataset.run;
  $(name).replaceChildren(view);
  if (focused) $(name).querySelector(`[data-run="${CSS.escape(focused)}"] summary`)?.focus();
}

async function nodesOf(id) {
  try {
    return views.nodes(await api.get(`/runs/${encodeURIComponent(id)}`), seconds());
  } catch (error) {
    return error.message;
  }
}

async function refresh(names) {
  const results = await Promise.allSettled(names.map(put));
  const failed = results.find((result) => result.status === "rejected")?.reason;
  if (failed && tokens && isOver(failed)) leave("You were signed out. Sign in again.");
  else if (failed ? tokens : notFetched) problem(failed);
  notFetched = Boolean(failed);
}

function refreshSoon(names) {
  names.forEach((name) => stale.add(name));
  gathering ??= setTimeout(() => {
    gathering = undefined;
    refresh([...stale]);
    stale.clear();
  }, GATHER_MS);
}

function hear(message) {
  $("log").prepend(views.line(message.at, sentence(message), message.status));
  while ($("log").children.length > LOG_LINES) $("log").lastChild.remove();
  refreshSoon(touched(message));
}

// Signing in and out

function show(signedIn) {
  $("sign-in").hidden = signedIn;
  $("console").hidden = $("sign-out").hidden = !signedIn;
}

function enter(made) {
  const allowed = scopes(made.access);
  if (!allowed.includes(READ)) throw new Error("You are in no group yet. Ask an engineer to admit you.");
  tokens = made;
  problem();
  show(true);
  $("export-form").hidden = !allowed.includes(START);
  $("main").focus();
  refresh(ALL);
  live = new Live(config.socketUrl, accessToken, hear, (on) => {
    isLive = on;
    $("live").textContent = on ? "Live" : "Not live, connecting again";
    // What happened meanwhile was not told.
    if (on) refreshSoon(ALL);
  });
  timer = setInterval(() => document.hidden || refreshSoon(isLive ? BY_THEMSELVES : ALL), REFRESH_MS);
}

function leave(why) {
  live?.close();
  clearInterval(timer);
  const left = tokens;
  tokens = undefined;
  for (const id of ["tables", "exports", "runs", "log"]) $(id).replaceChildren();
  $("live").textContent = "";
  ask(undefined);
  problem(why && new Error(why));
  // The tokens are forgotten here all the same, and end by themselves where this does not arrive.
  if (left) pool.leave(left).catch(() => {});
}

function ask(next) {
  step = next;
  show(false);
  $("password-form").hidden = Boolean(next);
  $("challenge-form").hidden = !next;
  if (!next) return $("username").focus();
  const { label, hint, type, autocomplete } = next.question;
  $("challenge-label").textContent = label;
  $("challenge-hint").textContent = next.secret ? `${hint} ${next.secret}` : hint;
  Object.assign($("challenge"), { type, autocomplete, value: "" });
  return $("challenge").focus();
}

/** Do what a form asks for, once at a time, and say what went wrong. */
function onSubmit(id, act) {
  $(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = $(id).querySelector("button");
    button.disabled = true;
    problem();
    try {
      await act();
    } catch (error) {
      problem(error);
    } finally {
      button.disabled = false;
    }
  });
}

function proceed(next) {
  $("password").value = $("challenge").value = "";
  if (next.tokens) enter(next.tokens);
  else ask(next);
}

onSubmit("password-form", async () => proceed(await pool.begin($("username").value, $("password").value)));
onSubmit("challenge-form", async () => proceed(await pool.answer(step, $("challenge").value)));
onSubmit("export-form", async () => {
  const reason = $("reason").value.trim();
  const started = await api.post("/exports", { mode: $("mode").value, ...(reason && { reason }) });
  $("reason").value = "";
  $("log").prepend(views.line(Date.now(), `export ${started.name} started`, started.status));
  await refresh(["exports"]);
});
$("sign-out").addEventListener("click", () => leave());

if (config.dictionaryUrl) Object.assign($("dictionary"), { href: config.dictionaryUrl, hidden: false });
ask(undefined);
