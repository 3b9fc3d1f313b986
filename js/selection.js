/**
 * The chosen faces: the text of the widget `select`, such as "0, 2-4" or "all".
 *
 * The text is the state. The functions do the same as `parse_indices` and `select_faces` of the core, so that the
 * picker marks the faces that a run will take.
 */

const RANGE = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/;
const MOST_FACES = 10000;

/**
 * Parse the text of `select`.
 * @param {string} text
 * @returns {number[] | "all" | undefined} Positions in the order of the text; undefined if it is not a selection.
 */
export function parseSelection(text) {
  if (text.trim().toLowerCase() === "all") return "all";
  const positions = new Set();
  for (const part of text.split(",")) {
    const match = RANGE.exec(part);
    if (!match) return undefined;
    const ends = [Number(match[1]), Number(match[2] ?? match[1])];
    const high = Math.min(Math.max(...ends), MOST_FACES);
    for (let i = Math.min(...ends); i <= high; i++) positions.add(i);
  }
  return [...positions];
}

/**
 * Write positions as text, with a range for three or more consecutive positions.
 * @param {Iterable<number>} positions
 * @param {number} total Number of faces. If all are chosen, the text is "all".
 */
export function formatSelection(positions, total) {
  const sorted = [...new Set(positions)].sort((a, b) => a - b);
  if (total > 0 && sorted.length >= total && sorted[total - 1] === total - 1) return "all";
  const parts = [];
  for (let i = 0; i < sorted.length;) {
    let end = i;
    while (sorted[end + 1] === sorted[end] + 1) end++;
    if (end - i >= 2) parts.push(`${sorted[i]}-${sorted[end]}`);
    else parts.push(...sorted.slice(i, end + 1).map(String));
    i = end + 1;
  }
  return parts.join(", ");
}

/**
 * Return the faces of a picture that a run takes.
 * @param {string} text Text of the widget `select`.
 * @param {number} count Value of the widget `count`; 0 is no limit.
 * @param {number} total Number of faces.
 * @returns {Set<number>}
 */
export function chosenFaces(text, count, total) {
  const parsed = parseSelection(text);
  if (parsed === undefined) return new Set();
  const positions = parsed === "all" ? range(0, total - 1) : parsed.filter((i) => i < total);
  return new Set(count > 0 ? positions.slice(0, count) : positions);
}

/** Return the chosen faces after one face was toggled. At least one face stays chosen, since no text means "none". */
export function toggled(chosen, index) {
  const next = new Set(chosen);
  if (next.has(index) && next.size > 1) next.delete(index);
  else next.add(index);
  return next;
}

/** Return the chosen faces after a shift-click, which adds all faces from the last clicked face to this one. */
export function extended(chosen, anchor, index) {
  return new Set([...chosen, ...range(Math.min(anchor, index), Math.max(anchor, index))]);
}

function range(first, last) {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}
