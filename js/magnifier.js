/** An enlarged face, in the upper corner of the picture that is farther from the face. */

import { surroundings } from "./boxes.js";
import { element } from "./elements.js";

const SIDE = 144; // pixels of the enlarged face

export class Magnifier {
  constructor() {
    this.canvas = element("canvas", {
      className: "large",
      width: SIDE,
      height: SIDE,
      hidden: true,
      "aria-hidden": true,
    });
  }

  /**
   * @param {import("./pictures.js").Picture} picture
   * @param {{x: number, y: number, width: number, height: number}} box Box of the face.
   * @param {{width: number, height: number}} size Size of the picture in pixels of the box. The file may be smaller.
   */
  async show(picture, box, size) {
    this.box = box;
    const scale = picture.size.width / size.width;
    const around = surroundings(box, size);
    const part = { x: around.x * scale, y: around.y * scale, width: around.width * scale };
    const bitmap = await picture.part(part, SIDE).catch(() => undefined);
    if (this.box !== box || !bitmap || picture.closed) return; // another face, picture or run is shown by now
    this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
    this.canvas.classList.toggle("left", box.x + box.width / 2 > size.width / 2);
    this.canvas.hidden = false;
  }

  hide() {
    this.box = undefined;
    this.canvas.hidden = true;
  }
}
