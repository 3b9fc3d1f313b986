/** A strip of small pictures, with which the user pages through a batch. */

import { element } from "./elements.js";
import { pictureUrl } from "./host.js";

export class Strip {
  /** @param {(page: number) => void} turnTo Function to call when the user chooses a picture. */
  constructor(turnTo) {
    this.turnTo = turnTo;
    this.element = element("div", { className: "strip", role: "group", "aria-label": "Pictures", hidden: true });
    this.element.dataset.scrolls = "yes";
  }

  /** Show the files of a node's result. A single file needs no strip. */
  show(files) {
    this.element.hidden = files.length < 2;
    this.element.replaceChildren(
      ...(files.length < 2 ? [] : files.map((file, i) => this.button(file, i, files.length))),
    );
  }

  /** Mark the open page. */
  mark(page) {
    [...this.element.children].forEach((button, i) => button.setAttribute("aria-current", String(i === page)));
  }

  button(file, page, pages) {
    const image = { src: pictureUrl(file), alt: "", loading: "lazy", decoding: "async", draggable: false };
    return element(
      "button",
      { type: "button", "aria-label": `Picture ${page + 1} of ${pages}`, onclick: () => this.turnTo(page) },
      element("img", image),
    );
  }
}
