/** Position of a before/after slider, from 0 (only after) to 100 (only before). */

const KEY_STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };

export const MIDDLE = 50;

export function clamped(position) {
  return Math.min(100, Math.max(0, position));
}

/** Return the position under the pointer. */
export function positionAt(clientX, { left, width }) {
  return width > 0 ? clamped((100 * (clientX - left)) / width) : MIDDLE;
}

/** Return the position after a key, or undefined for a key that does not move the slider. */
export function positionAfterKey(position, key, shift = false) {
  if (key === "Home") return 0;
  if (key === "End") return 100;
  const step = KEY_STEPS[key];
  return step === undefined ? undefined : clamped(Math.round(position) + step * (shift ? 10 : 1));
}

/** Pair the pictures before and after. A picture without a partner is left out. */
export function pairs(before, after) {
  return after.slice(0, before.length).map((picture, i) => ({ before: before[i], after: picture }));
}
