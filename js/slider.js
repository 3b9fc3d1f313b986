/**
 * The pictures before and after on Paste Faces, with a slider between them.
 *
 * The page's own ImageCompare widget is not used: ComfyUI 0.3.64 does not have it, the classic canvas does not show it,
 * and it follows the mouse but neither keys nor touch.
 */

import { MIDDLE, pairs, positionAfterKey, positionAt } from "./comparison.js";
import { createIsolatedHost, element, makeDraggable, statusLine } from "./elements.js";
import { addPanel, hideOwnGallery, onResult, pictureUrl, remember, watchWidgets } from "./host.js";
import { Picture } from "./pictures.js";
import { SLIDER_STYLE } from "./styles.js";

const KEY = "refldm_comparison";
const BAR = 34; // height in pixels of the line below the picture
const HIGHEST = 360; // pixels of the picture

/** Add the slider to a Paste Faces node. */
export function addSlider(node) {
  return new Slider(node);
}

class Slider {
  constructor(node) {
    this.node = node;
    this.page = 0;
    this.loads = 0;
    this.build();
    this.resize = addPanel(node, "before_after", this.host, () => this.height());
    hideOwnGallery(node);
    watchWidgets(node, [], this.host, () => this.displayed !== this.pairs && this.receive(undefined));
    onResult(node, (output) => this.receive(output));
    this.moveTo(MIDDLE);
  }

  get pairs() {
    return this.node.properties[KEY] ?? [];
  }

  height() {
    if (!this.pairs.length || !this.ratio) return 0; // the ratio is known after the picture has loaded
    return Math.round(Math.min(HIGHEST, Math.max(80, (this.node.size?.[0] ?? 330) / this.ratio)) + BAR);
  }

  build() {
    const { host, root } = createIsolatedHost(SLIDER_STYLE);
    this.host = host;
    this.after = element("canvas", { "aria-hidden": true });
    this.before = element("canvas", { className: "before", "aria-hidden": true });
    this.handle = element("div", {
      className: "handle",
      role: "slider",
      tabIndex: 0,
      title: "Drag, or press the arrow keys, to compare before and after.",
      "aria-label": "Share of the picture before restoring",
      "aria-valuemin": 0,
      "aria-valuemax": 100,
    });
    const labels = ["Before", "After"].map((text) =>
      element("span", { className: `label ${text.toLowerCase()}`, textContent: text }),
    );
    this.stage = element("div", { className: "stage" }, this.after, this.before, ...labels, this.handle);
    this.status = statusLine();
    const turn = (text, label, step) =>
      element("button", {
        type: "button",
        textContent: text,
        "aria-label": label,
        title: label,
        onclick: () => this.turn(step),
      });
    this.turns = element(
      "div",
      { className: "row" },
      turn("\u2039", "Previous picture", -1),
      turn("\u203a", "Next picture", 1),
    );
    const bar = element("div", { className: "row" }, this.status, this.turns);
    root.append(element("div", { className: "panel" }, element("div", { className: "middle" }, this.stage), bar));
    this.handle.addEventListener("keydown", (event) => {
      const position = positionAfterKey(this.position, event.key, event.shiftKey);
      if (position === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation(); // the arrow keys are shortcuts of the page too
      this.moveTo(position);
    });
    const follow = (event) => this.moveTo(positionAt(event.clientX, this.stage.getBoundingClientRect()));
    const start = (event) => {
      event.preventDefault(); // keeps the focus on the handle
      this.handle.focus({ preventScroll: true });
      follow(event);
      return true;
    };
    makeDraggable(this.stage, { start, move: follow, end: () => undefined });
  }

  moveTo(position) {
    this.position = position;
    this.stage.style.setProperty("--position", `${position}%`);
    this.handle.setAttribute("aria-valuenow", String(Math.round(position)));
    this.handle.setAttribute("aria-valuetext", `${Math.round(position)} percent before`);
  }

  receive(output) {
    const before = output?.refldm_before;
    if (before) remember(this.node, KEY, pairs(before, output.refldm_after ?? output.images ?? []));
    this.displayed = this.pairs;
    this.page = Math.min(this.page, Math.max(0, this.pairs.length - 1));
    if (this.pairs.length) this.show();
    else this.resize();
  }

  turn(step) {
    this.page = (this.page + step + this.pairs.length) % this.pairs.length;
    this.show();
  }

  async show() {
    const load = ++this.loads;
    const { before, after } = this.pairs[this.page];
    this.turns.hidden = this.pairs.length < 2;
    this.status.textContent = this.pairs.length < 2 ? "" : `Picture ${this.page + 1} of ${this.pairs.length}`;
    try {
      const pictures = await Promise.all([before, after].map((picture) => Picture.load(pictureUrl(picture))));
      if (load === this.loads) {
        const { width, height } = pictures[1].size;
        this.ratio = width / height;
        this.stage.style.aspectRatio = `${width} / ${height}`;
        this.stage.style.setProperty("--ratio", String(this.ratio));
        pictures[0].drawOn(this.before);
        pictures[1].drawOn(this.after);
        this.resize();
      }
      for (const picture of pictures) picture.close();
    } catch {
      if (load !== this.loads) return;
      this.status.textContent = "The pictures are gone. Run the workflow to see them again.";
      this.ratio ??= 4 / 3;
      this.resize();
    }
  }
}
