/** What this pack uses of ComfyUI's page: widgets, results of nodes, addresses. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const MARGIN = 4; // pixels around a panel in the classic canvas

/** The widget of a node by its name. */
export function widgetOf(node, name) {
  return node.widgets?.find((widget) => widget.name === name);
}

/** Whether another node gives this widget's value, so that writing it would change nothing. */
export function isLinked(node, name) {
  return node.inputs?.some((input) => input.widget?.name === name && input.link != null) ?? false;
}

/** Set widgets as one step of undo: name -> value. */
export function writeWidgets(node, values) {
  app.canvas?.emitBeforeChange?.();
  for (const [name, value] of Object.entries(values)) {
    const widget = widgetOf(node, name);
    if (!widget || widget.value === value) continue;
    widget.value = value;
    widget.callback?.(value, app.canvas, node);
  }
  app.canvas?.emitAfterChange?.();
  node.graph?.setDirtyCanvas?.(true, true);
}

/** Call `changed` when one of the widgets gets a value, from a hand, an undo or a loaded workflow. */
export function watchWidgets(node, names, changed) {
  for (const name of names) {
    const widget = widgetOf(node, name);
    if (widget) chain(widget, "callback", changed);
  }
  chain(node, "onConfigure", changed);
}

/** Call `received` with what the node's last run shows. */
export function onResult(node, received) {
  chain(node, "onExecuted", received);
}

/** Call `removed` when the node is deleted from the graph. */
export function onRemoval(node, removed) {
  chain(node, "onRemoved", removed);
}

/**
 * Keep what a run showed in the node's properties, so that it is there after a reload, a copy and an import. These
 * are names of temporary files and a few numbers, no pictures.
 */
export function remember(node, key, result) {
  node.properties[key] = result;
}

/** The address of a picture that a node saved. */
export function pictureUrl({ filename, subfolder = "", type = "temp" }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}

/** Ask one of this pack's routes; POST where there is content. Raises Error with the server's message. */
export async function ask(path, content) {
  const options = content && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(content),
  };
  const answer = await api.fetchApi(`/refldm/${path}`, options);
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.error ?? `The server answered ${answer.status}.`);
  return result;
}

/** The address of one of this pack's routes. */
export function routeUrl(path, query) {
  return api.apiURL(`/refldm/${path}?${new URLSearchParams(query)}`);
}

/** Ask the server for the choices of every combo again, as the key R does. */
export function refreshChoices() {
  return app.refreshComboInNodes();
}

/** Every node of a type in the open workflow. */
export function nodesOfType(type) {
  const root = app.rootGraph ?? app.graph;
  const graphs = [root, ...(root.subgraphs?.values() ?? [])];
  return graphs.flatMap((graph) => graph.nodes).filter((node) => node.comfyClass === type);
}

/**
 * Add an element to a node as its last widget. It holds no value: the node's own widgets do.
 * @param {object} node
 * @param {string} name
 * @param {HTMLElement} host
 * @param {() => number} height Least height in pixels; 0 while there is nothing to show.
 * @returns {() => void} Call it when the height has changed.
 */
export function addPanel(node, name, host, height) {
  const options = { serialize: false, hideOnZoom: false, margin: MARGIN, getMinHeight: height };
  const widget = node.addDOMWidget(name, "refldm", host, options);
  host.dataset.refldm = name;
  widget.serialize = false; // not a value in the workflow file
  forwardGestures(host);
  const show = () => {
    host.hidden = height() === 0;
    host.style.minHeight = `${Math.max(0, height() - 2 * MARGIN)}px`; // for Nodes 2.0, which does not ask the options
  };
  show();
  return () => {
    show();
    const [width, needed] = node.computeSize();
    node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], needed)]);
    node.graph?.setDirtyCanvas?.(true, true);
  };
}

/** The node shows its pictures in a panel of its own, so that the page's gallery would show them twice. */
export function hideOwnGallery(node) {
  node.hideOutputImages = true; // Nodes 2.0
  // The classic canvas shows what is in `imgs`.
  Object.defineProperty(node, "imgs", { get: () => undefined, set: () => undefined, configurable: true });
}

/** Wheel and middle button over an element of the classic canvas zoom and pan the graph, as beside it. */
function forwardGestures(host) {
  const classic = () => host.closest(".dom-widget") !== null;
  host.addEventListener(
    "wheel",
    (event) => {
      if (
        !classic() ||
        event.composedPath().some((part) => part.scrollHeight > part.clientHeight + 1 && part.dataset?.scrolls)
      )
        return;
      event.preventDefault();
      app.canvas.processMouseWheel(event);
    },
    { passive: false },
  );
  for (const [type, name] of [
    ["pointerdown", "processMouseDown"],
    ["pointermove", "processMouseMove"],
    ["pointerup", "processMouseUp"],
  ]) {
    host.addEventListener(type, (event) => {
      const middle = event.button === 1 || (event.buttons & 4) !== 0;
      if (classic() && middle) app.canvas[name](event);
    });
  }
}

function chain(target, name, then) {
  const before = target[name];
  target[name] = function (...inputs) {
    const result = before?.apply(this, inputs);
    then(...inputs);
    return result;
  };
}
