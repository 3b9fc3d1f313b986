/** Boxes of faces in pixels of their picture: {x, y, width, height}, where x and y are the upper left corner. */

const NUMBER = "\\s*(-?\\d+(?:\\.\\d+)?)\\s*";
const ENTRY = new RegExp(`^\\s*(\\d+)\\s*:${NUMBER},${NUMBER},${NUMBER},${NUMBER}$`);

/** Smallest side of a drawn box in pixels of the picture. A smaller box counts as a slip of the hand. */
export const SMALLEST_BOX = 8;

/**
 * Parse the text of the widget `added_boxes`: "0: 120,80,60,70; 2: 5,5,40,40" (picture: x,y,width,height).
 * @returns {{picture: number, x: number, y: number, width: number, height: number}[] | undefined} undefined if the
 *   text has another form.
 */
export function parseAddedBoxes(text) {
  const boxes = [];
  for (const entry of text.split(/[;\n]/).filter((part) => part.trim())) {
    const match = ENTRY.exec(entry);
    if (!match) return undefined;
    const [picture, x, y, width, height] = match.slice(1).map(Number);
    boxes.push({ picture, x, y, width, height });
  }
  return boxes;
}

/** Write boxes as the text of `added_boxes`. */
export function formatAddedBoxes(boxes) {
  return boxes.map((box) => `${box.picture}: ${box.x},${box.y},${box.width},${box.height}`).join("; ");
}

/** Return a box from the two corners (left, top, right, bottom) that the node reports. */
export function fromCorners([left, top, right, bottom]) {
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/**
 * Return the box between the two points of a drag, in whole pixels inside the picture.
 * @param {{x: number, y: number}} a
 * @param {{x: number, y: number}} b
 * @param {{width: number, height: number}} size Of the picture.
 * @returns The box, or undefined if it is smaller than `SMALLEST_BOX` along a side.
 */
export function boxBetween(a, b, size) {
  const inside = (value, limit) => Math.round(Math.min(Math.max(value, 0), limit));
  const left = inside(Math.min(a.x, b.x), size.width);
  const top = inside(Math.min(a.y, b.y), size.height);
  const width = inside(Math.max(a.x, b.x), size.width) - left;
  const height = inside(Math.max(a.y, b.y), size.height) - top;
  return width < SMALLEST_BOX || height < SMALLEST_BOX ? undefined : { x: left, y: top, width, height };
}

/** Return the place of a box in percent of the picture's sides. The box is cut at the picture's edges. */
export function percentages(box, size) {
  const part = (value, limit) => (100 * Math.min(Math.max(value, 0), limit)) / limit;
  const left = part(box.x, size.width);
  const top = part(box.y, size.height);
  return {
    left,
    top,
    width: part(box.x + box.width, size.width) - left,
    height: part(box.y + box.height, size.height) - top,
  };
}

/** Put an element over its box of the picture. */
export function place(element, box, size) {
  for (const [side, part] of Object.entries(percentages(box, size))) element.style[side] = `${part}%`;
  return element;
}

/** Return a square around a box with some of its surroundings, inside the picture. The magnifier shows it. */
export function surroundings(box, size, factor = 1.6) {
  const side = Math.min(Math.max(box.width, box.height) * factor, size.width, size.height);
  const start = (low, extent, limit) => Math.min(Math.max(low + extent / 2 - side / 2, 0), limit - side);
  return {
    x: start(box.x, box.width, size.width),
    y: start(box.y, box.height, size.height),
    width: side,
    height: side,
  };
}

/**
 * Return the face to which an arrow key leads: the nearest face in that direction. A face that lies more to the side
 * than ahead counts only if there is no other face.
 * @param {{x: number, y: number, width: number, height: number}[]} boxes
 * @param {number} current Index of the face with the focus.
 * @param {"ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown"} key
 * @returns {number} Index of that face, or `current` if there is none.
 */
export function neighbor(boxes, current, key) {
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  const center = (box) => [box.x + box.width / 2, box.y + box.height / 2];
  const [x, y] = center(boxes[current]);
  const ranked = boxes
    .map((box, i) => {
      const [cx, cy] = center(box);
      const ahead = (cx - x) * dx + (cy - y) * dy;
      const aside = Math.abs((cx - x) * dy) + Math.abs((cy - y) * dx);
      return { i, ahead, isAside: aside > ahead, distance: ahead + 2 * aside };
    })
    .filter(({ i, ahead }) => i !== current && ahead > 0)
    .sort((a, b) => a.isAside - b.isAside || a.distance - b.distance);
  return ranked[0]?.i ?? current;
}
