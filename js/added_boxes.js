/** Boxes that the user draws over the face picker. The widget `added_boxes` holds them, and this is a view of it. */

import { boxBetween, formatAddedBoxes, fromCorners, parseAddedBoxes, place } from "./boxes.js";
import { element } from "./elements.js";
import { isLinked, widgetOf, writeWidgets } from "./host.js";

const WIDGET = "added_boxes";

/** A layer over the picture, and the button that starts drawing. */
export class AddedBoxes {
  /** @param picker The face picker: its node, stage, page, size of the picture, and faces. */
  constructor(picker) {
    this.picker = picker;
    this.drawing = false;
    this.layer = element("div", { className: "drawn" });
    this.button = element("button", {
      type: "button",
      textContent: "Add face",
      title: "Draw a box around a face that was missed",
      "aria-pressed": false,
      onclick: () => this.setDrawing(!this.drawing),
    });
  }

  get boxes() {
    return parseAddedBoxes(String(widgetOf(this.picker.node, WIDGET)?.value ?? ""));
  }

  /** Show the boxes of this picture. Boxes that the last run did not use yet look new. */
  mark() {
    const { node, page, size, faces } = this.picker;
    this.button.hidden = !widgetOf(node, WIDGET);
    this.button.disabled = isLinked(node, WIDGET);
    const reported = new Set(faces.map((face) => JSON.stringify(roundBox(fromCorners(face.box)))));
    const boxesOfPage = (this.boxes ?? []).filter((box) => box.picture === page);
    this.layer.replaceChildren(
      ...boxesOfPage.map((box) => {
        const remove = element("button", {
          type: "button",
          textContent: "\u00d7",
          title: "Remove this box",
          "aria-label": `Remove the added box at ${box.x}, ${box.y}`,
          onclick: () => this.remove(box),
        });
        const isNew = !reported.has(JSON.stringify(roundBox(box)));
        return place(element("div", { className: isNew ? "added new" : "added" }, remove), box, size);
      }),
    );
  }

  setDrawing(drawing) {
    this.drawing = drawing;
    this.button.setAttribute("aria-pressed", String(drawing));
    this.picker.stage.classList.toggle("drawing", drawing);
    if (drawing) this.picker.say("Drag a box around a face.");
    else this.picker.mark();
  }

  start(event) {
    if (event.composedPath().some((part) => part.tagName === "BUTTON")) return undefined;
    const rubber = element("div", { className: "added new", hidden: true });
    this.layer.append(rubber);
    return { rubber, from: this.pointOf(event) };
  }

  move(event, { rubber, from }) {
    const box = boxBetween(from, this.pointOf(event), this.picker.size);
    rubber.hidden = !box;
    if (box) place(rubber, box, this.picker.size);
  }

  end(event, { rubber, from }) {
    rubber.remove();
    const box = boxBetween(from, this.pointOf(event), this.picker.size);
    if (!box) return this.picker.say("Drag a larger box.");
    if (!this.boxes) return this.picker.say(`The text of ${WIDGET} is not a list of boxes.`);
    this.write([...this.boxes, { picture: this.picker.page, ...box }]);
    this.setDrawing(false);
    this.picker.say("A face was added. Run the workflow to use it.");
  }

  cancel({ rubber }) {
    rubber.remove();
  }

  remove(box) {
    this.write(this.boxes.filter((item) => formatAddedBoxes([item]) !== formatAddedBoxes([box])));
    this.mark();
    this.button.focus();
  }

  write(boxes) {
    writeWidgets(this.picker.node, { [WIDGET]: formatAddedBoxes(boxes) });
  }

  /** Return the point of the picture under the pointer, in pixels of the picture. */
  pointOf({ clientX, clientY }) {
    const { left, top, width, height } = this.picker.stage.getBoundingClientRect();
    const { size } = this.picker;
    return { x: ((clientX - left) / width) * size.width, y: ((clientY - top) / height) * size.height };
  }
}

function roundBox({ x, y, width, height }) {
  return [x, y, width, height].map(Math.round);
}
