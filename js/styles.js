/** Styles of the panels. Each is used in a shadow root, so it does not affect the rest of the page. */

const PANEL = `
  .panel { position: relative; padding: 4px; background: #222; border-radius: 4px; display: flex; flex-direction: column; gap: 4px; width: 100%; height: 100%; min-height: inherit; }
`;

/** A picture as large as its place allows, in its own aspect ratio. */
const STAGE = `
  .middle { flex: 1; min-height: 0; container-type: size; display: grid; place-items: center; background: #111; }
  .stage { position: relative; width: min(100cqw, calc(100cqh * var(--ratio))); touch-action: none; user-select: none; }
`;

export const PICKER_STYLE = `
  ${PANEL}
  ${STAGE}
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
  .large { position: absolute; top: 4px; right: 4px; height: min(144px, calc(100% - 8px)); max-width: 45cqw; aspect-ratio: 1; border: 2px solid #fff; border-radius: 4px; pointer-events: none; }
  .large.left { right: auto; left: 4px; }
  .large[hidden] { display: none; }
  .strip { display: flex; gap: 4px; overflow-x: auto; height: 48px; flex: none; }
  .strip[hidden] { display: none; }
  .strip button { flex: none; width: 44px; height: 44px; padding: 0; overflow: hidden; }
  .strip button[aria-current="true"] { border: 2px solid #7cc4ff; }
  .strip img { width: 100%; height: 100%; object-fit: cover; display: block; }
`;

export const SLIDER_STYLE = `
  ${PANEL}
  ${STAGE}
  .stage { cursor: ew-resize; overflow: hidden; }
  .stage canvas { width: 100%; height: 100%; display: block; }
  .before.before { position: absolute; inset: 0; }
  canvas.before { clip-path: inset(0 calc(100% - var(--position)) 0 0); }
  .label { position: absolute; top: 4px; padding: 1px 6px; background: #000c; color: #fff; border-radius: 3px; pointer-events: none; }
  .label.before { left: 4px; right: auto; bottom: auto; top: 4px; }
  .label.after { right: 4px; }
  .handle { position: absolute; top: 0; bottom: 0; left: var(--position); width: 24px; margin-left: -12px; touch-action: none; }
  .handle::before { content: ""; position: absolute; left: 11px; top: 0; bottom: 0; width: 2px; background: #fff; box-shadow: 0 0 2px #000; }
  .handle::after { content: "\\2194"; position: absolute; left: 0; top: calc(50% - 12px); width: 24px; height: 24px; border-radius: 50%; background: #fff; color: #000; text-align: center; line-height: 24px; box-shadow: 0 0 3px #000; }
  [hidden] { display: none !important; }
`;

export const PEOPLE_STYLE = `
  ${PANEL}
  .people { display: flex; gap: 4px; overflow-x: auto; flex: none; height: 70px; }
  .person { display: flex; flex-direction: column; align-items: center; padding: 2px; flex: 1 0 60px; max-width: 100px; overflow: hidden; }
  .person.target { background: #1f5a34; border-color: #40dc78; }
  .person > :last-child { max-width: 100%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  img, .blank { width: 44px; height: 44px; object-fit: cover; border-radius: 3px; display: grid; place-items: center; flex: none; background: #444; }
  .faces { flex: 1; min-height: 0; overflow-y: auto; }
  .face { display: flex; align-items: center; gap: 6px; height: 52px; border-left: 3px solid transparent; padding-left: 4px; }
  .face.changed { border-left-color: #ffb84d; }
  .number { min-width: 18px; text-align: right; }
  .pick { padding: 1px; cursor: grab; touch-action: none; }
  .pick[aria-pressed="true"] { border-color: #7cc4ff; box-shadow: 0 0 0 2px #7cc4ff; }
  select { flex: 1; min-width: 0; font: inherit; color: #eee; background: #333; border: 1px solid #777; border-radius: 4px; padding: 3px; }
  .likeness { min-width: 30px; }
  .ghost { position: absolute; transform: translate(-50%, -50%); pointer-events: none; opacity: 0.85; z-index: 1; outline: 2px solid #40dc78; }
`;

export const GALLERY_STYLE = `
  ${PANEL}
  ul { list-style: none; margin: 0; padding: 0; flex: 1; min-height: 0; overflow-y: auto; display: flex; flex-direction: column; gap: 4px; container-type: inline-size; }
  li { flex: none; display: flex; gap: 4px; }
  @container (max-width: 280px) { .choose.choose img { width: 32px; } .acts.acts button { padding: 1px 4px; } }
  li > .question { flex: 1; }
  .choose { flex: 1; min-width: 0; display: grid; grid-template-columns: auto 1fr; align-items: center; gap: 0 8px; text-align: left; padding: 2px; line-height: 1.3; }
  .choose[aria-pressed="true"] { border-color: #40dc78; box-shadow: inset 0 0 0 1px #40dc78; }
  .choose img { grid-row: 1 / 4; height: 48px; width: 84px; object-fit: cover; object-position: left; border-radius: 3px; }
  .name, .details { grid-column: 2; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  .name { font-weight: bold; }
  .details { color: #ccc; }
  .acts { display: flex; flex-direction: column; gap: 4px; }
  .question { border: 1px solid #777; border-radius: 4px; padding: 6px; }
  .question input { flex: 1; min-width: 80px; padding: 2px 4px; }
  .danger { background: #7a1f1f; border-color: #e08080; }
`;
