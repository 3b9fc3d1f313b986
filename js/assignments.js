/**
 * People that the user assigned to faces: the text of the widget `assignments` of Match People, such as
 * "2: Anna, 3: nobody". Faces without an entry keep the person that the face recognizer finds.
 */

/** The name that stands for "leave this face without a person". */
export const NOBODY = "nobody";

/**
 * Parse the text.
 * @param {string} text
 * @returns {Map<number, string> | undefined} Number of the face -> name; undefined if the text has another form.
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

/** Write assignments as text, in the order of the faces. */
export function formatAssignments(assigned) {
  return [...assigned]
    .sort(([a], [b]) => a - b)
    .map(([face, name]) => `${face}: ${name}`)
    .join(", ");
}

/**
 * Return the assignments after a person was assigned to a face. An entry that repeats what the recognizer found is
 * left out, so that the text holds corrections only.
 * @param {Map<number, string>} assigned
 * @param {number} face
 * @param {string | undefined} name Name of the person; undefined takes the correction back.
 * @param {string} recognized Name that the recognizer found for this face.
 */
export function assign(assigned, face, name, recognized) {
  const next = new Map(assigned);
  if (name === undefined || name === recognized) next.delete(face);
  else next.set(face, name);
  return next;
}

/** Return the name with the capitals that it has among the people; undefined if nobody has this name. */
export function knownName(name, people) {
  return [...people, NOBODY].find((person) => person.toLowerCase() === name?.toLowerCase());
}

/** Return the person of each face: the assigned person, or else the recognized one. */
export function peopleOf(faces, assigned) {
  return faces.map((face) => assigned.get(face.index) ?? face.recognized);
}
