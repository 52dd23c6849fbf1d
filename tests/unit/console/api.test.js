import assert from "node:assert/strict";
import { test } from "node:test";

import { Api } from "../../../console/api.js";

const answering = (status, body) => async (url, options) => {
  answering.asked = { url, ...options };
  return new Response(body, { status });
};

test("requests carry the token of the moment and a body as JSON", async () => {
  const api = new Api("/api", async () => "t", answering(202, '{"name": "e"}'));
  assert.deepEqual(await api.post("/exports", { mode: "full" }), { name: "e" });
  assert.deepEqual(answering.asked, {
    url: "/api/exports",
    method: "POST",
    body: '{"mode":"full"}',
    headers: { "Content-Type": "application/json", Authorization: "t" },
  });
});

test("a refusal says why, and which request it was", async () => {
  const body = '{"message": "A run goes on already", "request_id": "r1"}';
  const api = new Api("/api", async () => "t", answering(409, body));
  await assert.rejects(api.get("/runs"), { status: 409, message: "A run goes on already (request r1)" });
});

test("a refusal that is no JSON is told by its status", async () => {
  const api = new Api("/api", async () => "t", answering(503, "<html>"));
  await assert.rejects(api.get("/runs"), { status: 503, message: "The API answered 503" });
});
