// Live outcomes over the socket; docs/control-plane.md has the format of its messages.

import { words } from "./format.js";

const TOUCHED = { export: ["exports", "runs"], job: ["runs", "quarantine"], table: ["tables"] };
const PING_MS = 5 * 60 * 1000;
const LONGEST_MS = 60 * 1000;
const KEPT = 200;

/** Which lists a message makes old. */
export function touched(message) {
  return TOUCHED[message.type] ?? [];
}

/** A message as a sentence. */
export function sentence(message) {
  const files = message.files === undefined ? "" : `, ${message.files} file${message.files === 1 ? "" : "s"}`;
  const error = message.error ? `: ${message.error}` : "";
  return `${message.type} ${message.name} ${words(message.status)}${files}${error}`;
}

/** Tables that changed, one after the other, as a sentence; one may be named twice. */
export function tablesChanged(names) {
  const count = new Set(names).size;
  return count === 1 ? `table ${names[0]} changed` : `${count} tables changed, the last ${names.at(-1)}`;
}

/** How long to wait before connecting again, the longer the more often it failed; `random` is from 0 to 1. */
export function delay(failures, random) {
  return Math.min(LONGEST_MS, 1000 * 2 ** failures) * (0.5 + random / 2);
}

/** Tells whether a message is new; the socket may tell one more than once. */
export class Seen {
  #ids = new Set();

  isNew(id) {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > KEPT) this.#ids.delete(this.#ids.values().next().value);
    return true;
  }
}

/** A connection that comes back until it is closed. `hear` gets new messages, `state` true and false. */
export class Live {
  #seen = new Seen();
  #failures = 0;
  #closed = false;
  #socket;
  #timer;

  constructor(url, token, hear, state) {
    Object.assign(this, { url, token, hear, state });
    this.#connect();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  async #connect() {
    let token;
    try {
      token = await this.token();
    } catch {
      return this.#again();
    }
    if (this.#closed) return undefined;
    this.#socket = new WebSocket(`${this.url}?token=${encodeURIComponent(token)}`);
    let ping;
    this.#socket.addEventListener("open", () => {
      this.#failures = 0;
      this.state(true);
      ping = setInterval(() => this.#socket.send('{"action": "ping"}'), PING_MS);
    });
    this.#socket.addEventListener("message", (event) => this.#read(event.data));
    this.#socket.addEventListener("close", () => {
      clearInterval(ping);
      this.#again();
    });
    return undefined;
  }

  #read(text) {
    const message = JSON.parse(text);
    // A socket that is closing may still deliver, to whoever signs in next.
    if (this.#closed) return;
    if (touched(message).length && this.#seen.isNew(message.id)) this.hear(message);
  }

  #again() {
    if (this.#closed) return;
    this.state(false);
    this.#timer = setTimeout(() => this.#connect(), delay(this.#failures++, Math.random()));
  }
}
