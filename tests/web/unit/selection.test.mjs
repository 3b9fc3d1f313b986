import assert from "node:assert/strict";
import { test } from "node:test";
import { chosenFaces, extended, formatSelection, parseSelection, toggled } from "../../../js/selection.js";

test("texts are read as the core reads them", () => {
  assert.equal(parseSelection(" All "), "all");
  assert.deepEqual(parseSelection("0, 2-4"), [0, 2, 3, 4]);
  assert.deepEqual(parseSelection("4-2,2"), [2, 3, 4]);
  assert.deepEqual(parseSelection("3,0"), [3, 0], "in the order of the text, which count cuts");
  for (const wrong of ["", "none", "1;2", "-1", "1-", "0,"]) assert.equal(parseSelection(wrong), undefined, wrong);
  assert.ok(parseSelection("0-99999999999").length <= 10001);
});

test("what is written is read back", () => {
  assert.equal(formatSelection([2, 0, 1], 3), "all");
  assert.equal(formatSelection([2, 0, 1], 4), "0-2");
  assert.equal(formatSelection([5, 0, 1, 5], 9), "0, 1, 5");
  for (const set of [[0], [1, 2, 3, 7], [0, 2, 4, 5, 6]])
    assert.deepEqual(parseSelection(formatSelection(set, 30)), set);
});

test("a selection beyond the faces of this picture is not all of them", () => {
  assert.equal(formatSelection([0, 1, 7], 3), "0, 1, 7");
});

test("the chosen faces are those that a run takes", () => {
  assert.deepEqual([...chosenFaces("all", 0, 3)], [0, 1, 2]);
  assert.deepEqual([...chosenFaces("all", 2, 3)], [0, 1]);
  assert.deepEqual([...chosenFaces("3,0", 1, 5)], [3]);
  assert.deepEqual([...chosenFaces("1-9", 0, 3)], [1, 2]);
  assert.deepEqual([...chosenFaces("what", 0, 3)], []);
});

test("a click toggles, and the last face stays", () => {
  assert.deepEqual([...toggled(new Set([0, 1]), 0)], [1]);
  assert.deepEqual([...toggled(new Set([1]), 0)], [1, 0]);
  assert.deepEqual([...toggled(new Set([1]), 1)], [1]);
});

test("a range goes both ways", () => {
  assert.deepEqual([...extended(new Set([9]), 4, 2)], [9, 2, 3, 4]);
  assert.deepEqual([...extended(new Set(), 1, 1)], [1]);
});
