import assert from "node:assert/strict";
import { test } from "node:test";
import { NOBODY, assign, formatAssignments, knownName, parseAssignments, peopleOf } from "../../../js/assignments.js";

test("assignments are formatted and parsed back", () => {
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

test("only differences from the recognizer are stored", () => {
  const corrections = assign(new Map(), 1, "Ben", NOBODY);
  assert.deepEqual([...corrections], [[1, "Ben"]]);
  assert.equal(assign(corrections, 1, NOBODY, NOBODY).size, 0, "a person that the recognizer found needs no entry");
  assert.equal(assign(corrections, 1, undefined, NOBODY).size, 0, "an assignment can be removed");
  assert.deepEqual(
    [...assign(corrections, 0, NOBODY, "Anna")],
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

test("names are found whatever their capitals", () => {
  assert.equal(knownName("anna", ["Anna", "Ben"]), "Anna");
  assert.equal(knownName("Nobody", ["Anna"]), NOBODY);
  assert.equal(knownName("Cem", ["Anna"]), undefined);
  assert.equal(knownName(undefined, ["Anna"]), undefined);
});
