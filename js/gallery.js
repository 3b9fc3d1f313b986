/** A gallery of the saved people on Load References. It is a view of the widget `name`, with rename and delete. */

import { createIsolatedHost, element, statusLine } from "./elements.js";
import {
  addPanel,
  hideOwnGallery,
  isLinked,
  nodesOfType,
  onRemoval,
  onResult,
  refreshChoices,
  request,
  routeUrl,
  watchWidgets,
  widgetOf,
  writeWidgets,
} from "./host.js";
import { GALLERY_STYLE } from "./styles.js";

const TYPE = "ReFLDM_LoadReferences";
const HEIGHT = 190; // pixels; a longer list scrolls
const ENDING = ".safetensors";

const galleries = new Set();

/** Add the gallery to a Load References node. */
export function addGallery(node) {
  return new Gallery(node);
}

/** Load the saved people again in every gallery. */
export function refreshGalleries() {
  return Promise.all([...galleries].map((gallery) => gallery.load()));
}

class Gallery {
  constructor(node) {
    this.node = node;
    const { host, root } = createIsolatedHost(GALLERY_STYLE);
    this.list = element("ul", { "aria-label": "Saved people" });
    this.list.dataset.scrolls = "yes";
    this.status = statusLine();
    root.append(element("div", { className: "panel" }, this.list, element("div", { className: "row" }, this.status)));
    addPanel(node, "saved_people", host, () => HEIGHT);
    hideOwnGallery(node);
    watchWidgets(node, ["name"], host, () => this.mark());
    onResult(node, () => this.load());
    galleries.add(this);
    onRemoval(node, () => galleries.delete(this));
    this.load();
  }

  get name() {
    return widgetOf(this.node, "name")?.value;
  }

  async load() {
    try {
      const people = await request("people");
      this.list.replaceChildren(...people.map((person) => this.item(person)));
      this.mark();
      this.status.textContent = people.length ? "" : "Nobody is saved yet. Use Save References to save a person.";
    } catch (error) {
      this.status.textContent = error.message;
    }
  }

  item(person) {
    const item = element("li");
    item.dataset.name = person.name;
    item.append(...this.content(item, person));
    return item;
  }

  /** Create the usual content of a person's item. */
  content(item, person) {
    const name = person.name.replace(ENDING, "");
    const details = person.problem
      ? [person.problem]
      : [`${person.photos} ${person.photos === 1 ? "photo" : "photos"}`, `model ${person.model.slice(0, 8)}`];
    const pictures = person.thumbnails
      ? [
          element("img", {
            src: routeUrl("people/thumbnails", { name: person.name }),
            alt: "",
            decoding: "async",
            draggable: false,
          }),
        ]
      : [];
    const choose = element(
      "button",
      {
        type: "button",
        className: "choose",
        title: [person.name, ...details].join(", "),
        onclick: () => this.choose(person.name),
      },
      ...pictures,
      element("span", { className: "name", textContent: name }),
      ...details.map((text) => element("span", { className: "details", textContent: text })),
    );
    const act = (text, action) =>
      element("button", { type: "button", textContent: text, "aria-label": `${text} ${name}`, onclick: action });
    return [
      choose,
      element(
        "div",
        { className: "acts" },
        act("Rename", () => this.askForName(item, person)),
        act("Delete", () => this.askToDelete(item, person)),
      ),
    ];
  }

  mark() {
    const linked = isLinked(this.node, "name");
    for (const item of this.list.children) {
      const choose = item.querySelector(".choose");
      choose?.setAttribute("aria-pressed", String(item.dataset.name === this.name));
      if (choose) choose.disabled = linked;
    }
  }

  choose(name) {
    writeWidgets(this.node, { name });
    this.mark();
  }

  askForName(item, person) {
    const input = element("input", {
      value: person.name.replace(ENDING, ""),
      "aria-label": `New name of ${person.name.replace(ENDING, "")}`,
      maxLength: 120,
    });
    const submit = (event) => {
      event.preventDefault();
      this.act("people/rename", { name: person.name, new_name: input.value }, person.name);
    };
    // Keys write text in this field. They must not act as shortcuts of the page.
    input.addEventListener("keydown", (event) => event.key !== "Escape" && event.stopPropagation());
    this.replace(
      item,
      person,
      element(
        "form",
        { className: "row", onsubmit: submit },
        input,
        element("button", { type: "submit", textContent: "Save" }),
      ),
    );
    input.select();
  }

  askToDelete(item, person) {
    const name = person.name.replace(ENDING, "");
    const confirm = element("button", {
      type: "button",
      className: "danger",
      textContent: "Delete",
      "aria-label": `Delete ${name} for good`,
      onclick: () => this.act("people/delete", { name: person.name }, person.name),
    });
    this.replace(item, person, element("span", { textContent: `Delete ${name} for good?` }), confirm).focus();
  }

  /** Replace the content of an item by a question, and return its Cancel button. */
  replace(item, person, ...question) {
    const back = () => {
      item.replaceChildren(...this.content(item, person));
      this.mark();
      item.querySelector(".choose").focus();
    };
    const cancel = element("button", { type: "button", textContent: "Cancel", onclick: back });
    const box = element(
      "div",
      { className: "question row", role: "group", "aria-label": person.name },
      ...question,
      cancel,
    );
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      back();
    });
    item.replaceChildren(box);
    return cancel;
  }

  async act(path, content, name) {
    try {
      const renamed = await request(path, content);
      await refreshChoices();
      for (const node of nodesOfType(TYPE)) {
        if (renamed && widgetOf(node, "name")?.value === name) writeWidgets(node, { name: renamed });
      }
      await refreshGalleries();
      this.status.textContent = renamed
        ? `Renamed to ${renamed.replace(ENDING, "")}.`
        : `Deleted ${name.replace(ENDING, "")}.`;
    } catch (error) {
      this.status.textContent = error.message.split("\n")[0];
      this.status.title = error.message;
    }
  }
}
