/**
 * Who a face is by hand: the text of the widget `assignments` of Match People, such as "2: Anna, 3: nobody".
 *
 * Faces without an entry keep the person that the face recognizer finds.
 */

/** The name that stands for "leave this face without a person". */
export const NOBODY = "nobody";

/**
 * Parse the text.
 * @param {string} text
 * @returns {Map<number, string> | undefined} Number of the face -> name; undefined for a text of another form.
 */
export function parseAssignments(text) {
  const assigned = new Map();
  for (const part of text.split(/[,\n]/).filter((entry) => entry.trim())) {
    const match = /^\s*(\d+)\s*:\s*(.*\S)\s*$/s.exec(part);
    if (!match) return undefined;
    assigned.set(Number(match[1]), match[2]);
  }
  return assigned;
}

/** Write assignments in the order of the faces. */
export function formatAssignments(assigned) {
  return [...assigned]
    .sort(([a], [b]) => a - b)
    .map(([face, name]) => `${face}: ${name}`)
    .join(", ");
}

/**
 * The assignments after a face was put to a person. An entry that repeats what the recognizer found is left out, so
 * that the text holds corrections only.
 * @param {Map<number, string>} assigned
 * @param {number} face
 * @param {string | undefined} name undefined takes the correction back.
 * @param {string} recognized What the recognizer found for this face.
 */
export function assign(assigned, face, name, recognized) {
  const next = new Map(assigned);
  if (name === undefined || name === recognized) next.delete(face);
  else next.set(face, name);
  return next;
}

/** The name as the people are called, whose capitals do not matter; undefined for somebody else. */
export function knownName(name, people) {
  return [...people, NOBODY].find((person) => person.toLowerCase() === name?.toLowerCase());
}

/** The person of each face: the assignment, else what the recognizer found. */
export function peopleOf(faces, assigned) {
  return faces.map((face) => assigned.get(face.index) ?? face.recognized);
}
