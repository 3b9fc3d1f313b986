/** The people of the faces on Match People: a view of the widget `assignments`, which holds the user's corrections. */

import { NOBODY, assign, formatAssignments, knownName, parseAssignments, peopleOf } from "./assignments.js";
import { createIsolatedHost, element, makeDraggable, statusLine } from "./elements.js";
import {
  addPanel,
  hideOwnGallery,
  isLinked,
  onResult,
  pictureUrl,
  remember,
  watchWidgets,
  widgetOf,
  writeWidgets,
} from "./host.js";
import { PEOPLE_STYLE } from "./styles.js";

const KEY = "refldm_matches";
const TOP = 116; // height in pixels of the people and of the status line
const ROW = 52; // height in pixels of a face
const MOST_ROWS = 6; // a longer list scrolls
const SLIP = 5; // pixels that a pointer may move during a click

/** Add the list of faces and people to a Match People node. */
export function addPeople(node) {
  return new People(node);
}

class People {
  constructor(node) {
    this.node = node;
    this.build();
    this.resize = addPanel(node, "people", this.host, () => this.height());
    hideOwnGallery(node);
    watchWidgets(node, ["assignments"], this.host, () => this.refresh());
    onResult(node, (output) => this.receive(output));
  }

  /** The result of the last run: faces, people, and the people that the recognizer found. */
  get result() {
    return this.node.properties[KEY];
  }

  get faces() {
    return this.result?.faces ?? [];
  }

  get names() {
    return (this.result?.people ?? []).map((person) => person.name);
  }

  get text() {
    return String(widgetOf(this.node, "assignments")?.value ?? "");
  }

  get assigned() {
    return parseAssignments(this.text);
  }

  get locked() {
    return !widgetOf(this.node, "assignments") || isLinked(this.node, "assignments") || !this.assigned;
  }

  height() {
    return this.faces.length ? TOP + ROW * Math.min(this.faces.length, MOST_ROWS) : 0;
  }

  build() {
    const { host, root } = createIsolatedHost(PEOPLE_STYLE);
    this.host = host;
    this.people = element("div", { className: "people", role: "group", "aria-label": "People" });
    this.list = element("div", { className: "faces", role: "list", "aria-label": "Faces", tabIndex: 0 });
    this.list.dataset.scrolls = "yes";
    this.status = statusLine();
    this.reset = element("button", {
      type: "button",
      textContent: "Undo all",
      title: "Take all corrections back",
      onclick: () => this.write(new Map()),
    });
    this.panel = element(
      "div",
      { className: "panel" },
      this.people,
      this.list,
      element("div", { className: "row" }, this.status, this.reset),
    );
    root.append(this.panel);
    makeDraggable(this.list, {
      start: (event) => this.startDrag(event),
      move: (event, drag) => this.drag(event, drag),
      end: (event, drag) => this.drop(event, drag),
      cancel: (_event, drag) => this.endDrag(drag),
    });
  }

  receive(output) {
    if (output?.[KEY]?.[0]) remember(this.node, KEY, summary(output[KEY][0]));
    this.displayed = this.result;
    this.picked = undefined;
    this.resize();
    if (!this.faces.length) return;
    const targets = [...this.result.people, { name: NOBODY }];
    this.people.replaceChildren(...targets.map((person) => this.card(person)));
    this.list.replaceChildren(...this.faces.map((face) => this.row(face)));
    this.mark();
  }

  refresh() {
    if (this.displayed !== this.result) this.receive(undefined);
    else if (this.faces.length) this.mark();
  }

  card({ name, thumbnail }) {
    const button = element(
      "button",
      {
        type: "button",
        className: "person",
        title: `Give the picked face to ${name}`,
        onclick: () => this.give(this.picked, name),
      },
      portrait(thumbnail, "?"),
      element("span", { textContent: name }),
    );
    button.dataset.person = name;
    return button;
  }

  row(face) {
    const pick = element(
      "button",
      {
        type: "button",
        className: "pick",
        "aria-pressed": false,
        "aria-label": `Pick face ${face.index}`,
        title: "Drag this face to a person, or click both",
        onclick: (event) => event.detail === 0 && this.pick(face.index),
      },
      portrait(face.thumbnail, String(face.index)),
    );
    pick.dataset.face = String(face.index);
    const automatic = element("option", { value: "", textContent: `${face.recognized} (recognized)` });
    const choices = [...this.names, NOBODY].map((name) => element("option", { value: name, textContent: name }));
    const select = element(
      "select",
      {
        "aria-label": `Person of face ${face.index}`,
        onchange: () => this.give(face.index, select.value || undefined),
      },
      automatic,
      ...choices,
    );
    const likeness = element("span", {
      className: "likeness",
      textContent: face.similarity?.toFixed(2) ?? "",
      title: "Similarity to the person in the last run",
    });
    return element(
      "div",
      { className: "face", role: "listitem" },
      element("span", { className: "number", textContent: String(face.index) }),
      pick,
      select,
      likeness,
    );
  }

  /** Show the person of each face. */
  mark() {
    const assigned = this.assigned ?? new Map();
    [...this.list.children].forEach((row, i) => {
      const face = this.faces[i];
      const select = row.querySelector("select");
      const name = assigned.get(face.index);
      const person = knownName(name, this.names);
      select.value = person ?? "";
      if (name !== undefined && person === undefined) select.selectedIndex = -1; // the person is not connected
      select.disabled = this.locked;
      row.classList.toggle("changed", name !== undefined);
      row.querySelector(".pick").setAttribute("aria-pressed", String(face.index === this.picked));
    });
    const people = peopleOf(this.faces, assigned);
    for (const card of this.people.children) {
      const count = people.filter((name) => knownName(name, this.names) === card.dataset.person).length;
      card.setAttribute("aria-label", `${card.dataset.person}, ${count} ${count === 1 ? "face" : "faces"}`);
      card.disabled = this.locked;
    }
    this.reset.disabled = this.locked || !assigned.size;
    const changed = assigned.size ? `${assigned.size} changed by hand` : "As recognized";
    this.status.textContent = this.assigned ? changed : 'Write assignments in the form "2: Anna, 3: nobody".';
  }

  pick(face) {
    this.picked = this.picked === face ? undefined : face;
    this.mark();
    if (this.picked !== undefined) this.status.textContent = `Choose a person for face ${face}.`;
  }

  give(face, name) {
    if (this.locked) return;
    const item = this.faces.find(({ index }) => index === face);
    if (!item) return void (this.status.textContent = "Pick a face first.");
    this.picked = undefined;
    this.write(assign(this.assigned, face, name, item.recognized));
  }

  write(assigned) {
    writeWidgets(this.node, { assignments: formatAssignments(assigned) });
    this.mark();
  }

  startDrag(event) {
    const pick = event.composedPath().find((part) => part.dataset?.face !== undefined);
    return pick && !this.locked
      ? { face: Number(pick.dataset.face), pick, x: event.clientX, y: event.clientY }
      : undefined;
  }

  drag(event, drag) {
    if (!drag.ghost && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < SLIP) return;
    if (!drag.ghost) {
      drag.ghost = drag.pick.firstElementChild.cloneNode(true);
      drag.ghost.classList.add("ghost");
      this.panel.append(drag.ghost);
    }
    // The canvas scales the panel, so positions are in percent of its size.
    const { left, top, width, height } = this.panel.getBoundingClientRect();
    drag.ghost.style.left = `${(100 * (event.clientX - left)) / width}%`;
    drag.ghost.style.top = `${(100 * (event.clientY - top)) / height}%`;
    const target = this.targetAt(event);
    for (const card of this.people.children) card.classList.toggle("target", card === target);
  }

  drop(event, drag) {
    const target = this.targetAt(event);
    const wasDragged = drag.ghost !== undefined;
    this.endDrag(drag);
    if (!wasDragged) this.pick(drag.face);
    else if (target) this.give(drag.face, target.dataset.person);
  }

  endDrag(drag) {
    drag.ghost?.remove();
    for (const card of this.people.children) card.classList.remove("target");
  }

  targetAt({ clientX, clientY }) {
    return [...this.people.children].find((card) => {
      const { left, right, top, bottom } = card.getBoundingClientRect();
      return left <= clientX && clientX <= right && top <= clientY && clientY <= bottom;
    });
  }
}

/** Return the part of a result that the node keeps. The assigned people are left out, since `assignments` has them. */
function summary({ faces, people }) {
  const keptFaces = faces.map(({ index, thumbnail, recognized, similarity }) => {
    return { index, thumbnail, recognized: recognized ?? NOBODY, similarity };
  });
  return { faces: keptFaces, people };
}

function portrait(thumbnail, text) {
  return thumbnail
    ? element("img", { src: pictureUrl(thumbnail), alt: "", draggable: false, decoding: "async" })
    : element("span", { className: "blank", textContent: text });
}
