// Requests to the control plane's API.

/** Raised when the API refuses; its message says why. */
export class ApiError extends Error {
  constructor(status, body) {
    const asked = body.request_id ? ` (request ${body.request_id})` : "";
    super(`${body.message ?? `The API answered ${status}`}${asked}`);
    this.status = status;
  }
}

export class Api {
  /** `token` is asked for an access token before each request. */
  constructor(base, token, fetch = globalThis.fetch.bind(globalThis)) {
    Object.assign(this, { base, token, fetch });
  }

  get(path) {
    return this.#ask(path, { method: "GET" });
  }

  post(path, body) {
    return this.#ask(path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "Content-Type": "application/json" },
    });
  }

  delete(path) {
    return this.#ask(path, { method: "DELETE" });
  }

  async #ask(path, options) {
    const headers = { ...options.headers, Authorization: await this.token() };
    const response = await this.fetch(this.base + path, { ...options, headers });
    const body = await response.json().catch(() => ({}));
    if (!response.ok) throw new ApiError(response.status, body);
    return body;
  }
}
