/** The parts of ComfyUI's page that this pack uses: widgets, results of nodes, addresses. */

import { api } from "../../scripts/api.js";
import { app } from "../../scripts/app.js";

const MARGIN = 4; // pixels around a panel in the classic canvas
const SUBGRAPH_INPUT = -10; // the page's number for the inputs of the subgraph around a node

/**
 * Return the widget that holds a value of a node: the node's own widget or, if a subgraph shows it outside, the widget
 * of the subgraph node.
 */
export function widgetOf(node, name) {
  return (findHolder(node, name) ?? { widget: ownWidget(node, name) }).widget;
}

/** Return whether another node gives this widget's value. Writing the widget would then change nothing. */
export function isLinked(node, name) {
  return linkOf(node, name) != null && !findHolder(node, name);
}

function ownWidget(node, name) {
  return node.widgets?.find((widget) => widget.name === name);
}

/** Return the number of the link into a widget, or null or undefined without a link. */
function linkOf(node, name) {
  return node.inputs?.find((input) => input.widget?.name === name)?.link;
}

/**
 * Find the widget that can be written for a node's widget, and the node of that widget.
 *
 * Nothing can be written if another node gives the value, or if several subgraph nodes share the subgraph.
 * @returns {{owner: object, widget: object} | undefined}
 */
function findHolder(node, name) {
  const number = linkOf(node, name);
  if (number == null) {
    const widget = ownWidget(node, name);
    return widget && { owner: node, widget };
  }
  const link = node.graph?.getLink(number); // a node that is being copied has no graph yet
  if (!link || Number(link.origin_id) !== SUBGRAPH_INPUT) return undefined;
  const [subgraphNode, ...others] = allNodes().filter((item) => item.subgraph === node.graph);
  if (!subgraphNode || others.length) return undefined;
  return findHolder(subgraphNode, node.graph.inputs[link.origin_slot].name);
}

/** Set the values of widgets (name -> value) as one step of undo. */
export function writeWidgets(node, values) {
  app.canvas?.emitBeforeChange?.();
  for (const [name, value] of Object.entries(values)) {
    const { owner, widget } = findHolder(node, name) ?? {};
    if (!widget || widget.value === value) continue;
    widget.value = value;
    widget.callback?.(value, app.canvas, owner);
  }
  app.canvas?.emitAfterChange?.();
  node.graph?.setDirtyCanvas?.(true, true);
}

/**
 * Call `changed` when a widget gets a value from the user, from an undo or from a loaded workflow, and when the panel
 * comes into view: a subgraph's widget can change while the panel inside is closed.
 */
export function watchWidgets(node, names, panel, changed) {
  for (const name of names) {
    const widget = ownWidget(node, name);
    if (widget) chain(widget, "callback", changed);
  }
  chain(node, "onConfigure", changed);
  new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && changed()).observe(panel);
}

/** Call `received` with the output of each run of the node. */
export function onResult(node, received) {
  chain(node, "onExecuted", received);
}

/** Call `removed` when the node is deleted from the graph. */
export function onRemoval(node, removed) {
  chain(node, "onRemoved", removed);
}

/**
 * Keep the output of a run in the node's properties, so that a reload, a copy and an import keep it. It holds names of
 * temporary files and a few numbers, but no pictures.
 */
export function remember(node, key, result) {
  node.properties[key] = result;
}

/** Return the address of a picture that a node saved. */
export function pictureUrl({ filename, subfolder = "", type = "temp" }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}

/** Send a request to a route of this pack: POST if there is content. Throws an Error with the server's message. */
export async function request(path, content) {
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

/** Return the address of a route of this pack. */
export function routeUrl(path, query) {
  return api.apiURL(`/refldm/${path}?${new URLSearchParams(query)}`);
}

/** Load the choices of all combo widgets again, as the key R does. */
export function refreshChoices() {
  return app.refreshComboInNodes();
}

/** Return all nodes of a type in the open workflow. */
export function nodesOfType(type) {
  return allNodes().filter((node) => node.comfyClass === type);
}

/** Return all nodes of the open workflow, also those inside subgraphs. */
function allNodes() {
  const root = app.rootGraph ?? app.graph;
  const graphs = [root, ...(root.subgraphs?.values() ?? [])];
  return graphs.flatMap((graph) => graph.nodes);
}

/**
 * Add an element to a node as its last widget. It holds no value, since the node's own widgets hold all values.
 * @param {object} node
 * @param {string} name
 * @param {HTMLElement} host
 * @param {() => number} height Smallest height in pixels; 0 while there is nothing to show.
 * @returns {() => void} A function to call when the height has changed.
 */
export function addPanel(node, name, host, height) {
  const options = { serialize: false, hideOnZoom: false, margin: MARGIN, getMinHeight: height };
  const widget = node.addDOMWidget(name, "refldm", host, options);
  host.dataset.refldm = name;
  widget.serialize = false; // the workflow file holds no value for it
  forwardGestures(host);
  const show = () => {
    host.hidden = height() === 0;
    host.style.minHeight = `${Math.max(0, height() - 2 * MARGIN)}px`; // Nodes 2.0 ignores getMinHeight
  };
  show();
  return () => {
    show();
    const [width, needed] = node.computeSize();
    node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], needed)]);
    node.graph?.setDirtyCanvas?.(true, true);
  };
}

/** Hide the page's gallery of a node that shows its pictures in its own panel. */
export function hideOwnGallery(node) {
  node.hideOutputImages = true; // Nodes 2.0
  // The classic canvas shows the pictures in `imgs`.
  Object.defineProperty(node, "imgs", { get: () => undefined, set: () => undefined, configurable: true });
}

/** Let the wheel and the middle button zoom and pan the graph, also over an element of the classic canvas. */
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

/** Call `then` after a method of an object, with the same arguments. */
function chain(target, name, then) {
  const original = target[name];
  target[name] = function (...inputs) {
    const result = original?.apply(this, inputs);
    then(...inputs);
    return result;
  };
}
