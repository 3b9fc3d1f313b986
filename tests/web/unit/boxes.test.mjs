import assert from "node:assert/strict";
import { test } from "node:test";
import {
  boxBetween,
  formatAddedBoxes,
  fromCorners,
  neighbor,
  parseAddedBoxes,
  percentages,
  surroundings,
} from "../../../js/boxes.js";

const size = { width: 200, height: 100 };

test("added boxes are formatted and parsed back", () => {
  const boxes = parseAddedBoxes("0: 120,80,60,70; 2: 5, 5, 40, 40");
  assert.deepEqual(boxes[1], { picture: 2, x: 5, y: 5, width: 40, height: 40 });
  assert.equal(formatAddedBoxes(boxes), "0: 120,80,60,70; 2: 5,5,40,40");
  assert.deepEqual(
    parseAddedBoxes("0: 1.5,-2,3,4\n1: 0,0,9,9").map((box) => box.x),
    [1.5, 0],
  );
  assert.deepEqual(parseAddedBoxes(""), []);
  for (const wrong of ["120,80,60,70", "0: 1,2,3", "a: 1,2,3,4"])
    assert.equal(parseAddedBoxes(wrong), undefined, wrong);
});

test("a drag in any direction is a box inside the picture", () => {
  const box = { x: 20, y: 10, width: 40, height: 30 };
  assert.deepEqual(boxBetween({ x: 20, y: 10 }, { x: 60, y: 40 }, size), box);
  assert.deepEqual(boxBetween({ x: 60, y: 40 }, { x: 20, y: 10 }, size), box);
  assert.deepEqual(boxBetween({ x: 150, y: 50 }, { x: 999, y: -9 }, size), { x: 150, y: 0, width: 50, height: 50 });
  assert.equal(boxBetween({ x: 20, y: 10 }, { x: 22, y: 90 }, size), undefined, "a drag of two pixels is a slip");
});

test("boxes become percentages of the picture, cut at its edges", () => {
  assert.deepEqual(percentages(fromCorners([50, 25, 150, 75]), size), { left: 25, top: 25, width: 50, height: 50 });
  assert.deepEqual(percentages(fromCorners([-50, -25, 100, 200]), size), { left: 0, top: 0, width: 50, height: 100 });
});

test("the enlarged part is a square inside the picture", () => {
  for (const box of [fromCorners([0, 0, 20, 20]), fromCorners([190, 90, 200, 100]), fromCorners([0, 0, 200, 100])]) {
    const part = surroundings(box, size);
    assert.equal(part.width, part.height);
    assert.ok(part.x >= 0 && part.y >= 0 && part.x + part.width <= 200 && part.y + part.height <= 100);
  }
});

test("an arrow leads to the nearest face ahead", () => {
  const boxAt = (x, y) => ({ x, y, width: 10, height: 10 });
  const boxes = [boxAt(50, 50), boxAt(80, 52), boxAt(150, 50), boxAt(50, 10), boxAt(20, 90)];
  assert.equal(neighbor(boxes, 0, "ArrowRight"), 1);
  assert.equal(neighbor(boxes, 1, "ArrowRight"), 2);
  assert.equal(neighbor(boxes, 2, "ArrowRight"), 2, "there is no face to the right");
  assert.equal(neighbor(boxes, 0, "ArrowUp"), 3);
  assert.equal(neighbor(boxes, 0, "ArrowDown"), 4);
  assert.equal(neighbor(boxes, 1, "ArrowLeft"), 0);
});
