import assert from "node:assert/strict";
import { test } from "node:test";

import { delay, Seen, sentence, tablesChanged, touched } from "../../../console/live.js";

test("a message names the lists that it makes old, and an unknown one none", () => {
  assert.deepEqual(touched({ type: "export" }), ["exports", "runs"]);
  assert.deepEqual(touched({ type: "table" }), ["tables"]);
  assert.deepEqual(touched({ type: "job" }), ["runs", "quarantine"]);
  assert.deepEqual(touched({ type: "pong" }), []);
});

test("messages read as sentences", () => {
  const landed = { type: "export", name: "e1", status: "SUCCEEDED", files: 1 };
  assert.equal(sentence(landed), "export e1 succeeded, 1 file");
  const failed = { type: "export", name: "e2", status: "FAILED", error: "ExportFailed" };
  assert.equal(sentence(failed), "export e2 failed: ExportFailed");
});

test("tables that change together are one sentence", () => {
  assert.equal(tablesChanged(["curated.patient", "curated.patient"]), "table curated.patient changed");
  assert.equal(tablesChanged(["a", "b", "a"]), "2 tables changed, the last a");
});

test("a message that comes again is not new", () => {
  const seen = new Seen();
  assert.deepEqual(["a", "b", "a"].map((id) => seen.isNew(id)), [true, true, false]);
});

test("waits grow, differ, and end at a minute", () => {
  assert.deepEqual([0, 1, 2].map((failures) => delay(failures, 1)), [1000, 2000, 4000]);
  assert.equal(delay(2, 0), 2000);
  assert.equal(delay(50, 1), 60000);
});
