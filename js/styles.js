/** Styles of the panels. Each lies in a shadow root, so that it reaches nothing else on the page. */

export const PICKER_STYLE = `
  .panel { padding: 4px; background: #222; border-radius: 4px; display: flex; flex-direction: column; gap: 4px; width: 100%; height: 100%; min-height: inherit; }
  .middle { flex: 1; min-height: 0; container-type: size; display: grid; place-items: center; background: #111; }
  .stage { position: relative; width: min(100cqw, calc(100cqh * var(--ratio))); touch-action: none; user-select: none; }
  .stage > canvas:first-child { width: 100%; height: 100%; display: block; }
  .boxes, .drawn { position: absolute; inset: 0; }
  .drawn { pointer-events: none; }
  .drawing { cursor: crosshair; }
  .drawing .face { pointer-events: none; }
  .face { position: absolute; border: 2px solid #bbb; box-shadow: 0 0 0 1px #000; cursor: pointer; border-radius: 2px; min-width: 10px; min-height: 10px; }
  .face span { position: absolute; left: 0; top: 0; padding: 0 4px; background: #bbb; color: #000; font-size: 11px; line-height: 14px; }
  .face:hover { box-shadow: 0 0 0 2px #fff; }
  .face[aria-selected="true"] { border-color: #40dc78; }
  .face[aria-selected="true"] span { background: #40dc78; font-weight: bold; }
  .face[aria-selected="true"] span::after { content: " \\2713"; }
  .added { position: absolute; border: 2px dashed #40dc78; }
  .added.new { border-color: #ffb84d; }
  .added button { position: absolute; right: 0; top: 0; width: 20px; height: 20px; padding: 0; line-height: 1; pointer-events: auto; }
  .large { position: absolute; top: 4px; right: 4px; width: min(144px, 45cqw); border: 2px solid #fff; border-radius: 4px; pointer-events: none; }
  .large.left { right: auto; left: 4px; }
  .large[hidden] { display: none; }
  .strip { display: flex; gap: 4px; overflow-x: auto; height: 48px; flex: none; }
  .strip[hidden] { display: none; }
  .strip button { flex: none; width: 44px; height: 44px; padding: 0; overflow: hidden; }
  .strip button[aria-current="true"] { border: 2px solid #7cc4ff; }
  .strip img { width: 100%; height: 100%; object-fit: cover; display: block; }
`;
