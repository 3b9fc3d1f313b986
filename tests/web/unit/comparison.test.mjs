import assert from "node:assert/strict";
import { test } from "node:test";
import { pairs, positionAfterKey, positionAt } from "../../../js/comparison.js";

test("the pointer sets the position, within the picture", () => {
  const rect = { left: 100, width: 200 };
  assert.equal(positionAt(150, rect), 25);
  assert.equal(positionAt(0, rect), 0);
  assert.equal(positionAt(999, rect), 100);
  assert.equal(positionAt(5, { left: 0, width: 0 }), 50, "a picture that is not laid out yet");
});

test("keys move the slider as in a standard slider", () => {
  assert.equal(positionAfterKey(50, "ArrowRight"), 51);
  assert.equal(positionAfterKey(50.4, "ArrowLeft"), 49);
  assert.equal(positionAfterKey(50, "ArrowLeft", true), 40);
  assert.equal(positionAfterKey(95, "PageUp"), 100);
  assert.equal(positionAfterKey(7, "Home"), 0);
  assert.equal(positionAfterKey(7, "End"), 100);
  assert.equal(positionAfterKey(7, "x"), undefined);
});

test("pictures are compared in pairs", () => {
  assert.deepEqual(pairs(["a", "b"], ["A", "B"]), [
    { before: "a", after: "A" },
    { before: "b", after: "B" },
  ]);
  assert.deepEqual(pairs(["a"], ["A", "B"]), [{ before: "a", after: "A" }]);
  assert.deepEqual(pairs([], ["A"]), []);
});
