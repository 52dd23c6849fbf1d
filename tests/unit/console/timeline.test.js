import assert from "node:assert/strict";
import { test } from "node:test";

import { extent, place } from "../../../console/timeline.js";

test("bars lie between the first start and the last end", () => {
  const placed = place([{ started_at: 100, ended_at: 150 }, { started_at: 150, ended_at: 200 }], 999);
  assert.deepEqual(placed, [{ left: 0, width: 50 }, { left: 50, width: 50 }]);
});

test("what has not ended goes on until now", () => {
  const [, running] = place([{ started_at: 0, ended_at: 10 }, { started_at: 50 }], 100);
  assert.deepEqual(running, { left: 50, width: 50 });
});

test("a short one is still seen, and within the line", () => {
  const [, short] = place([{ started_at: 0, ended_at: 1e6 }, { started_at: 1e6, ended_at: 1e6 }], 0);
  assert.ok(short.width > 0);
  assert.ok(short.left + short.width <= 100);
});

test("what never began has no place, and a moment alone has one", () => {
  assert.deepEqual(place([{}], 5), [null]);
  assert.equal(place([{ started_at: 5, ended_at: 5 }], 5)[0].left, 0);
  assert.deepEqual(place([], 5), []);
});

test("the scale goes from the first start to the last end", () => {
  assert.deepEqual(extent([{ started_at: 5, ended_at: 7 }, {}, { started_at: 6 }], 9), { from: 5, until: 9 });
  assert.equal(extent([{}], 9), null);
});
