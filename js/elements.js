/** Small helpers for the DOM, independent of ComfyUI. */

/**
 * Create an element.
 * @param {string} tag
 * @param {Record<string, unknown>} properties "on..." adds a listener. "role" and names with a dash set attributes. All
 *   other names set properties.
 * @param {...(Node | string)} children
 */
export function element(tag, properties = {}, ...children) {
  const created = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) created.addEventListener(name.slice(2), value);
    else if (name === "role" || name.includes("-")) created.setAttribute(name, String(value));
    else created[name] = value;
  }
  created.append(...children);
  return created;
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
 * Create a host element with a shadow DOM, so that its content and styles do not affect the rest of the page.
 * @returns {{host: HTMLElement, root: ShadowRoot}}
 */
export function createIsolatedHost(style) {
  const host = element("div");
  const root = host.attachShadow({ mode: "open" });
  root.append(element("style", { textContent: BASE_STYLE + style }));
  return { host, root };
}

/** Create a line of text that screen readers read aloud when the text changes. */
export function statusLine() {
  return element("span", { className: "status", role: "status" });
}

/**
 * Let the user drag on an element with a pointer (mouse, touch or pen).
 * @param {HTMLElement} target
 * @param {{start: (event: PointerEvent) => unknown, move: Function, end: Function, cancel?: Function}} handlers
 *   `start` returns a state, which the other handlers get as their second argument. undefined starts no drag.
 */
export function makeDraggable(target, { start, move, end, cancel }) {
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
  target.addEventListener("lostpointercapture", (event) => finish(event, cancel)); // after pointerup it does nothing
}
