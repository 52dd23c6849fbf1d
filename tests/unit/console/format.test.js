import assert from "node:assert/strict";
import { test } from "node:test";

import { ago, count, kind, runStatus, size, took, words } from "../../../console/format.js";

test("freshness is said in the largest unit that fits", () => {
  assert.equal(ago(1000, 1059), "59 seconds ago");
  assert.equal(ago(1000, 1060), "1 minute ago");
  assert.equal(ago(1000, 1000 + 2 * 3600 + 5), "2 hours ago");
  assert.equal(ago(1000, 1000 + 86400), "yesterday");
  assert.equal(ago(1000, 1000.4), "now");
});

test("a server's clock that is ahead is no future", () => assert.equal(ago(1005, 1000), "now"));

test("durations have two units", () => {
  assert.equal(took(10, 12.4), "2 s");
  assert.equal(took(0, 125), "2 min 5 s");
  assert.equal(took(0, 7260), "2 h 1 min");
  assert.equal(took(5, 4), "0 s");
});

test("counts are grouped", () => assert.equal(count(1234567), "1,234,567"));

test("each status has a kind, and an unknown one is none", () => {
  const kinds = ["SUCCEEDED", "COMPLETED", "RUNNING", "TIMED_OUT", "FAILED", "ABORTED", "SOMETHING"].map(kind);
  assert.deepEqual(kinds, ["good", "good", "busy", "bad", "bad", "none", "none"]);
  assert.equal(words("TIMED_OUT"), "timed out");
});

test("a completed run with a failed action is shown as failed", () => {
  assert.equal(runStatus({ status: "COMPLETED", actions: { failed: 1 } }), "FAILED");
  assert.equal(runStatus({ status: "COMPLETED", actions: { failed: 0 } }), "COMPLETED");
  assert.equal(runStatus({ status: "RUNNING", actions: { failed: 1 } }), "RUNNING");
});

test("sizes are in the largest unit that fits", () => {
  assert.deepEqual([0, 999, 1000, 1_440_000, 2e9].map(size), ["0 B", "999 B", "1.0 kB", "1.4 MB", "2.0 GB"]);
});
