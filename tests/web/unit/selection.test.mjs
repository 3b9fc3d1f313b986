import assert from "node:assert/strict";
import { test } from "node:test";
import { chosenFaces, extended, formatSelection, parseSelection, toggled } from "../../../js/selection.js";

test("selections are parsed as in the core", () => {
  assert.equal(parseSelection(" All "), "all");
  assert.deepEqual(parseSelection("0, 2-4"), [0, 2, 3, 4]);
  assert.deepEqual(parseSelection("4-2,2"), [2, 3, 4]);
  assert.deepEqual(parseSelection("3,0"), [3, 0], "the order of the text stays, because count cuts the list");
  for (const wrong of ["", "none", "1;2", "-1", "1-", "0,"]) assert.equal(parseSelection(wrong), undefined, wrong);
  assert.ok(parseSelection("0-99999999999").length <= 10001);
});

test("formatted selections are parsed back", () => {
  assert.equal(formatSelection([2, 0, 1], 3), "all");
  assert.equal(formatSelection([2, 0, 1], 4), "0-2");
  assert.equal(formatSelection([5, 0, 1, 5], 9), "0, 1, 5");
  for (const set of [[0], [1, 2, 3, 7], [0, 2, 4, 5, 6]])
    assert.deepEqual(parseSelection(formatSelection(set, 30)), set);
});

test("a selection that reaches beyond this picture is never formatted as all", () => {
  assert.equal(formatSelection([0, 1, 7], 3), "0, 1, 7");
});

test("the selected faces are those that a run restores", () => {
  assert.deepEqual([...chosenFaces("all", 0, 3)], [0, 1, 2]);
  assert.deepEqual([...chosenFaces("all", 2, 3)], [0, 1]);
  assert.deepEqual([...chosenFaces("3,0", 1, 5)], [3]);
  assert.deepEqual([...chosenFaces("1-9", 0, 3)], [1, 2]);
  assert.deepEqual([...chosenFaces("what", 0, 3)], []);
});

test("a click toggles a face, but the last selected face stays", () => {
  assert.deepEqual([...toggled(new Set([0, 1]), 0)], [1]);
  assert.deepEqual([...toggled(new Set([1]), 0)], [1, 0]);
  assert.deepEqual([...toggled(new Set([1]), 1)], [1]);
});

test("a range can go in both directions", () => {
  assert.deepEqual([...extended(new Set([9]), 4, 2)], [9, 2, 3, 4]);
  assert.deepEqual([...extended(new Set(), 1, 1)], [1]);
});
