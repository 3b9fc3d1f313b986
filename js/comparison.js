/** Position of a before/after slider, 0 (all after) to 100 (all before). */

const KEY_STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };

export const MIDDLE = 50;

export function clamped(position) {
  return Math.min(100, Math.max(0, position));
}

/** The position under a pointer. */
export function positionAt(clientX, { left, width }) {
  return width > 0 ? clamped((100 * (clientX - left)) / width) : MIDDLE;
}

/** The position after a key, or undefined for a key that does not move the slider. */
export function positionAfterKey(position, key, shift = false) {
  if (key === "Home") return 0;
  if (key === "End") return 100;
  const step = KEY_STEPS[key];
  return step === undefined ? undefined : clamped(Math.round(position) + step * (shift ? 10 : 1));
}

/** Pairs of pictures before and after; a surplus picture on one side has no partner and is left out. */
export function pairs(before, after) {
  return after.slice(0, before.length).map((picture, i) => ({ before: before[i], after: picture }));
}
