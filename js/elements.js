/** Small helpers around the DOM; nothing here knows ComfyUI. */

/**
 * Make an element.
 * @param {string} tag
 * @param {Record<string, unknown>} properties Names with a dash become attributes, "on..." listeners, others properties.
 * @param {...(Node | string)} children
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "role" || name.includes("-")) made.setAttribute(name, String(value));
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

const BASE_STYLE = `
  :host { display: block; box-sizing: border-box; contain: size layout; overflow: hidden; font: 12px/1.4 system-ui, sans-serif; color: #ddd; }
  :host([hidden]) { display: none; }
  * { box-sizing: border-box; }
  button, input { font: inherit; color: #eee; background: #333; border: 1px solid #777; border-radius: 4px; }
  button { padding: 2px 8px; cursor: pointer; }
  button:hover:not(:disabled) { background: #444; }
  button:disabled { opacity: 0.6; cursor: default; }
  :focus-visible { outline: 2px solid #7cc4ff; outline-offset: 1px; }
  .row { display: flex; flex-wrap: wrap; gap: 4px; align-items: center; }
  .status { color: #ccc; min-height: 17px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; flex: 1; }
`;

/**
 * A host element whose content and styles are its own (shadow DOM): they reach nothing else on the page.
 * @returns {{host: HTMLElement, root: ShadowRoot}}
 */
export function isolated(style) {
  const host = element("div");
  const root = host.attachShadow({ mode: "open" });
  root.append(element("style", { textContent: BASE_STYLE + style }));
  return { host, root };
}

/** A line that screen readers read aloud when its text changes. */
export function statusLine() {
  return element("span", { className: "status", role: "status" });
}

/**
 * Drag with a pointer (mouse, touch or pen).
 * @param {HTMLElement} target
 * @param {{start: (event: PointerEvent) => unknown, move: Function, end: Function, cancel?: Function}} handlers
 *   `start` returns what the others get as their second argument; undefined is no drag.
 */
export function draggable(target, { start, move, end, cancel }) {
  let state;
  let pointer;
  const finish = (event, handler) => {
    if (event.pointerId !== pointer) return;
    const ended = state;
    state = pointer = undefined;
    handler?.(event, ended);
  };
  target.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || pointer !== undefined) return;
    state = start(event);
    if (state === undefined) return;
    pointer = event.pointerId;
    target.setPointerCapture(pointer);
  });
  target.addEventListener("pointermove", (event) => {
    if (event.pointerId === pointer) move(event, state);
  });
  target.addEventListener("pointerup", (event) => finish(event, end));
  target.addEventListener("pointercancel", (event) => finish(event, cancel));
  target.addEventListener("lostpointercapture", (event) => finish(event, cancel)); // after pointerup there is no more
}
