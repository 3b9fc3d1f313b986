import assert from "node:assert/strict";
import { test } from "node:test";
import { NOBODY, assign, formatAssignments, knownName, parseAssignments, peopleOf } from "../../../js/assignments.js";

test("assignments are written and read back", () => {
  const assigned = parseAssignments(" 3: nobody, 2 : Anna Lee ");
  assert.deepEqual(
    [...assigned],
    [
      [3, "nobody"],
      [2, "Anna Lee"],
    ],
  );
  assert.equal(formatAssignments(assigned), "2: Anna Lee, 3: nobody");
  assert.equal(parseAssignments("").size, 0);
  for (const wrong of ["Anna", "x: Anna", "2:"]) assert.equal(parseAssignments(wrong), undefined, wrong);
});

test("only corrections are written", () => {
  const one = assign(new Map(), 1, "Ben", NOBODY);
  assert.deepEqual([...one], [[1, "Ben"]]);
  assert.equal(assign(one, 1, NOBODY, NOBODY).size, 0, "what the recognizer found needs no entry");
  assert.equal(assign(one, 1, undefined, NOBODY).size, 0, "taken back");
  assert.deepEqual(
    [...assign(one, 0, NOBODY, "Anna")],
    [
      [1, "Ben"],
      [0, NOBODY],
    ],
  );
});

test("a correction wins over the recognizer", () => {
  const faces = [
    { index: 0, recognized: "Anna" },
    { index: 1, recognized: NOBODY },
  ];
  assert.deepEqual(peopleOf(faces, new Map([[1, "Ben"]])), ["Anna", "Ben"]);
});

test("capitals of a name do not matter", () => {
  assert.equal(knownName("anna", ["Anna", "Ben"]), "Anna");
  assert.equal(knownName("Nobody", ["Anna"]), NOBODY);
  assert.equal(knownName("Cem", ["Anna"]), undefined);
  assert.equal(knownName(undefined, ["Anna"]), undefined);
});
