/**
 * The face picker on Detect Faces: boxes over the pictures of the last run. It is a view of the widgets `select`,
 * `count` and `added_boxes`, which hold the state.
 */

import { AddedBoxes } from "./added_boxes.js";
import { fromCorners, neighbor, place } from "./boxes.js";
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
import { Magnifier } from "./magnifier.js";
import { Picture } from "./pictures.js";
import { chosenFaces, extended, formatSelection, parseSelection, toggled } from "./selection.js";
import { Strip } from "./strip.js";
import { PICKER_STYLE } from "./styles.js";

const KEY = "refldm_faces";
const NUMBERING = "refldm_numbering";
const BAR = 34; // height in pixels of the line below the picture
const STRIP = 52; // height in pixels of the strip of several pictures
const HIGHEST = 360; // pixels of the picture
const HELP =
  "Click a face or press space to choose it. Shift-click chooses a range, a chooses all, Escape undoes the choices.";

/** Add the picker to a Detect Faces node. */
export function addPicker(node) {
  return new Picker(node);
}

class Picker {
  constructor(node) {
    this.node = node;
    this.page = 0;
    this.focused = 0;
    this.anchor = 0;
    this.loads = 0;
    this.addedBoxes = new AddedBoxes(this);
    this.magnifier = new Magnifier();
    this.strip = new Strip((page) => this.turnTo(page));
    this.build();
    this.resize = addPanel(node, "face_picker", this.host, () => this.height());
    hideOwnGallery(node);
    watchWidgets(node, ["select", "count", "added_boxes", "order", "min_size"], this.host, () => this.refresh());
    onResult(node, (output) => this.receive(output));
    this.receive(undefined);
  }

  /** The result of the last run: one entry for each picture. */
  get pictures() {
    return this.node.properties[KEY] ?? [];
  }

  get picture() {
    return this.pictures[this.page];
  }

  get size() {
    const [width, height] = this.picture.size;
    return { width, height };
  }

  get total() {
    return Math.max(0, ...this.pictures.map((picture) => picture.faces.length));
  }

  get text() {
    return String(widgetOf(this.node, "select")?.value ?? "all");
  }

  get chosen() {
    return chosenFaces(this.text, Number(widgetOf(this.node, "count")?.value ?? 0), this.total);
  }

  /** The values of the widgets on which the numbers of the faces depend. */
  get numbering() {
    return ["order", "min_size"].map((name) => widgetOf(this.node, name)?.value).join(", ");
  }

  /** The faces of the present picture. */
  get faces() {
    return this.picture.faces;
  }

  /** Return the smallest height of the panel, with the picture at the node's width. */
  height() {
    if (!this.pictures.length) return 0;
    const picture = Math.max(80, ((this.node.size?.[0] ?? 330) * this.size.height) / this.size.width);
    return Math.round(Math.min(HIGHEST, picture) + BAR + (this.pictures.length > 1 ? STRIP : 0));
  }

  build() {
    const { host, root } = createIsolatedHost(PICKER_STYLE);
    this.host = host;
    this.canvas = element("canvas", { "aria-hidden": true });
    this.list = element("div", {
      className: "boxes",
      role: "listbox",
      "aria-multiselectable": true,
      "aria-label": "Faces",
    });
    this.stage = element(
      "div",
      { className: "stage" },
      this.canvas,
      this.list,
      this.addedBoxes.layer,
      this.magnifier.canvas,
    );
    this.status = statusLine();
    this.all = element("button", {
      type: "button",
      textContent: "All",
      title: "Choose every face",
      onclick: () => this.chooseAll(),
    });
    const bar = element("div", { className: "row" }, this.status, this.all, this.addedBoxes.button);
    const middle = element("div", { className: "middle" }, this.stage);
    root.append(
      element(
        "div",
        { className: "panel", onkeydown: (event) => this.stopDrawing(event) },
        middle,
        this.strip.element,
        bar,
      ),
    );
    this.list.title = HELP;
    this.list.addEventListener("keydown", (event) => this.pressKey(event));
    this.list.addEventListener("focusin", (event) => {
      if (!this.list.contains(event.relatedTarget)) this.textBeforeFocus = this.text;
      this.focused = this.faceAt(event) ?? this.focused;
    });
    this.list.addEventListener("focusout", () => this.enlarge(undefined));
    makeDraggable(this.stage, {
      start: (event) => (this.addedBoxes.drawing ? this.addedBoxes.start(event) : this.startClick(event)),
      move: (event, state) => state.rubber && this.addedBoxes.move(event, state),
      end: (event, state) => (state.rubber ? this.addedBoxes.end(event, state) : this.endClick(event, state)),
      cancel: (_event, state) => state.rubber && this.addedBoxes.cancel(state),
    });
    // Screen readers click without a pointer.
    this.list.addEventListener("click", (event) => event.detail === 0 && this.toggle(this.faceAt(event), false));
    this.list.addEventListener("pointerover", (event) => this.enlarge(this.faceAt(event)));
    this.list.addEventListener("pointerout", () => this.enlarge(undefined));
  }

  /** Show the output of a run. Without an output, show what the node remembers of its last run. */
  receive(output) {
    if (output?.[KEY]) {
      remember(this.node, KEY, output[KEY].map(summary));
      remember(this.node, NUMBERING, this.numbering);
    }
    this.page = Math.min(this.page, Math.max(0, this.pictures.length - 1));
    this.displayed = this.pictures;
    this.resize();
    if (!this.pictures.length) return;
    this.strip.show(this.pictures.map(({ picture }) => picture));
    this.showPage();
  }

  /** Follow the widgets, and the node's properties after a workflow was loaded. */
  refresh() {
    if (this.displayed !== this.pictures) this.receive(undefined);
    else if (this.pictures.length) this.mark();
  }

  turnTo(page) {
    this.page = page;
    this.focused = this.anchor = 0;
    this.showPage();
  }

  async showPage() {
    this.strip.mark(this.page);
    this.magnifier.hide();
    this.stage.style.aspectRatio = `${this.size.width} / ${this.size.height}`;
    this.stage.style.setProperty("--ratio", String(this.size.width / this.size.height));
    this.list.replaceChildren(...this.faces.map((face) => this.option(face)));
    this.mark();
    const load = ++this.loads;
    try {
      const loaded = await Picture.load(pictureUrl(this.picture.picture));
      if (load !== this.loads) return loaded.close();
      this.loadedPicture?.close();
      this.loadedPicture = loaded;
      loaded.drawOn(this.canvas);
    } catch {
      if (load !== this.loads) return;
      this.loadedPicture = undefined;
      this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
      this.say("The picture is gone. Run the workflow to see it again.");
    }
  }

  option(face) {
    const number = element("span", { textContent: String(face.index) });
    const option = element("div", { className: "face", role: "option", tabIndex: -1 }, number);
    option.dataset.index = String(face.index);
    return place(option, fromCorners(face.box), this.size);
  }

  /** Show which faces are chosen. */
  mark() {
    const chosen = this.chosen;
    const isSelection = parseSelection(this.text) !== undefined;
    [...this.list.children].forEach((option, i) => {
      const isChosen = chosen.has(i);
      option.setAttribute("aria-selected", String(isChosen));
      option.setAttribute("aria-label", `Face ${i}, ${Math.round(100 * this.faces[i].confidence)} percent sure`);
      option.tabIndex = i === Math.min(this.focused, this.list.children.length - 1) ? 0 : -1;
    });
    this.addedBoxes.mark();
    const linked = isLinked(this.node, "select");
    this.all.disabled = linked;
    const chosenOnPage = [...chosen].filter((i) => i < this.faces.length).length;
    const counted = `${chosenOnPage} of ${this.faces.length} faces chosen`;
    if (!isSelection) this.say("The text of select is not a list of faces.");
    else if (this.node.properties[NUMBERING] !== this.numbering) this.say("Run again, since the numbers have changed.");
    else this.say(linked ? `${counted}; select is connected` : counted);
  }

  say(text) {
    if (this.status.textContent !== text) this.status.textContent = text;
  }

  /** Return the number of the face under an event, or undefined. */
  faceAt(event) {
    const option = event.composedPath().find((part) => part.dataset?.index !== undefined);
    return option && Number(option.dataset.index);
  }

  startClick(event) {
    return this.faceAt(event) === undefined ? undefined : { face: this.faceAt(event), shift: event.shiftKey };
  }

  endClick(_event, { face, shift }) {
    this.focus(face);
    this.toggle(face, shift);
  }

  toggle(face, shift) {
    if (face === undefined) return;
    const chosen = this.chosen;
    const next = shift ? extended(chosen, this.anchor, face) : toggled(chosen, face);
    this.anchor = face;
    this.choose(next);
    if (next.size === 1 && chosen.size === 1 && chosen.has(face)) this.say("At least one face stays chosen.");
  }

  chooseAll() {
    this.choose(new Set(Array.from({ length: this.total }, (_, i) => i)));
  }

  choose(chosen) {
    if (isLinked(this.node, "select") || !chosen.size) return;
    const count = Number(widgetOf(this.node, "count")?.value ?? 0);
    const values = { select: formatSelection(chosen, this.total) };
    // A limit would drop faces that the user has chosen.
    if (count > 0 && chosen.size > count && !isLinked(this.node, "count")) values.count = 0;
    writeWidgets(this.node, values);
    this.mark();
  }

  focus(face) {
    this.focused = face;
    [...this.list.children].forEach((option, i) => (option.tabIndex = i === face ? 0 : -1));
    this.list.children[face]?.focus({ preventScroll: true });
    this.enlarge(face);
  }

  pressKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const face = Math.min(this.focused, this.list.children.length - 1);
    const boxes = this.faces.map((item) => fromCorners(item.box));
    if (event.key.startsWith("Arrow")) {
      const next = neighbor(boxes, face, event.key);
      this.focus(next);
      if (event.shiftKey) this.toggle(next, true);
    } else if (event.key === " " || event.key === "Enter") this.toggle(face, event.shiftKey);
    else if (event.key.toLowerCase() === "a") this.chooseAll();
    else if (event.key === "Escape") this.goBack();
    else return;
    event.preventDefault();
    event.stopPropagation(); // these keys are shortcuts of the page too
  }

  /** Restore the choice from before the picker got the focus. */
  goBack() {
    this.enlarge(undefined);
    if (!isLinked(this.node, "select") && this.textBeforeFocus !== undefined)
      writeWidgets(this.node, { select: this.textBeforeFocus });
    this.mark();
  }

  /** Show an enlarged face, or none for undefined. */
  enlarge(face) {
    if (face === undefined || !this.loadedPicture) this.magnifier.hide();
    else this.magnifier.show(this.loadedPicture, fromCorners(this.faces[face].box), this.size);
  }

  stopDrawing(event) {
    if (!this.addedBoxes.drawing || event.key !== "Escape") return;
    event.stopPropagation();
    this.addedBoxes.setDrawing(false);
  }
}

/** Return the part of a picture's result that the node keeps. It is small, since the workflow file holds it. */
function summary({ size, picture, faces }) {
  return { size, picture, faces: faces.map(({ index, box, confidence }) => ({ index, box, confidence })) };
}
