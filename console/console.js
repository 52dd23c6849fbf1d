// The page: who is signed in, what the forms do, and what is fetched again when the socket tells of something.

import { Api, ApiError } from "./api.js";
import { ALL, Board } from "./board.js";
import { Live, sentence, tablesChanged, touched } from "./live.js";
import { scopes, SignInError, UserPool } from "./sign_in.js";
import { line } from "./views.js";

const $ = (id) => document.getElementById(id);
const seconds = () => Date.now() / 1000;

const REFRESH_MS = 30 * 1000;
const BY_THEMSELVES = ["exports", "runs"]; // start without being told of over the socket
const RENEW_BEFORE = 60;
const LOG_LINES = 50;
const READ = "watershed/read";
const START = "watershed/start";
const ADMIT = "watershed/admit";
const OVER = "You were signed out. Sign in again.";

const config = await (await fetch("config.json")).json();
const pool = new UserPool(config.identityUrl, config.clientId);
const api = new Api(config.apiUrl, accessToken);
const board = new Board(api, fetched);
const changed = new Set();
let tokens, renewing, live, isLive, timer, step, notFetched;
let sessions = 0;

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

/** After each time that lists were fetched; `error` is undefined where all came. */
function fetched(error) {
  if (!tokens) return;
  if (error && isOver(error)) leave(OVER);
  else if (error || notFetched) problem(error);
  notFetched = error;
}

function note(at, text, status) {
  changed.clear();
  $("quiet").hidden = true;
  $("log").prepend(line(at, text, status));
  while ($("log").children.length > LOG_LINES) $("log").lastChild.remove();
}

/** Tables change many at once: those without another message between them share a line. */
function noteTable(message) {
  const names = [...changed, message.name];
  if (changed.size) $("log").firstChild.remove();
  note(message.at, tablesChanged(names), message.status);
  names.forEach((name) => changed.add(name));
}

function hear(message) {
  if (message.type === "table") noteTable(message);
  else note(message.at, sentence(message), message.status);
  board.refreshSoon(touched(message));
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
  $("export-form").hidden = $("run-form").hidden = !allowed.includes(START);
  $("people").hidden = !allowed.includes(ADMIT);
  $("main").focus();
  board.refresh(ALL);
  live = new Live(config.socketUrl, accessToken, hear, (on) => {
    isLive = on;
    $("live").textContent = on ? "Live" : "Not live, connecting again";
    // What happened meanwhile was not told.
    if (on) board.refreshSoon(ALL);
  });
  timer = setInterval(tick, REFRESH_MS);
}

function tick() {
  if (document.hidden) return;
  board.age();
  board.refreshSoon(isLive ? BY_THEMSELVES : ALL);
}

function leave(why) {
  live?.close();
  clearInterval(timer);
  const left = tokens;
  tokens = undefined;
  sessions += 1;
  board.clear();
  $("log").replaceChildren();
  changed.clear();
  $("quiet").hidden = false;
  $("people-said").textContent = "";
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
    const session = sessions;
    button.disabled = true;
    problem();
    try {
      await act();
    } catch (error) {
      // Whoever was signed out meanwhile was told so.
      if (session !== sessions) return;
      if (tokens && isOver(error)) leave(OVER);
      else problem(error);
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
  note(Date.now(), `export ${started.name} started`, started.status);
  await board.refresh(["exports"]);
});
onSubmit("run-form", async () => {
  const started = await api.post("/runs", {});
  note(Date.now(), `run ${started.id} started`, started.status);
  await board.refresh(["runs"]);
});
onSubmit("admit-form", async () => {
  $("people-said").textContent = "";
  const [name, email, group] = ["name", "email", "group"].map((each) => $(`admit-${each}`).value.trim());
  const admitted = await api.post("/analysts", { name, email, group });
  $("admit-form").reset();
  $("people-said").textContent = `${admitted.name} is number ${admitted.id}; an invitation went to ${admitted.email}.`;
});
onSubmit("disable-form", async () => {
  $("people-said").textContent = "";
  const { id } = await api.delete(`/analysts/${encodeURIComponent($("disable-id").value.trim())}`);
  $("disable-form").reset();
  $("people-said").textContent = `Number ${id} is disabled: no new tokens, and the last ends within the hour.`;
});
$("sign-out").addEventListener("click", () => leave());

// What there is to read besides

function link(id, url) {
  Object.assign($(id), { href: url, hidden: false });
  $("documents").hidden = false;
}

ask(undefined);
if (config.dictionaryUrl) link("dictionary", config.dictionaryUrl);
if (config.dataDocsUrl) {
  // A run makes them: before the first there are none.
  const found = await fetch(config.dataDocsUrl, { method: "HEAD" }).catch(() => undefined);
  if (found?.ok) link("data-docs", config.dataDocsUrl);
}
