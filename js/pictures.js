/** Pictures of a node's result, decoded once and away from the main thread. */

const LONGEST = 1024; // pixels of the copy that is shown

/**
 * A picture for showing whole and in parts. A large one is shown as a small copy, so that zooming and panning the graph
 * stay fast, and cut out at its full size.
 */
export class Picture {
  /** @param {Blob} blob */
  constructor(blob, bitmap, size) {
    this.blob = blob;
    this.bitmap = bitmap;
    this.size = size;
    this.parts = new Map();
  }

  /**
   * @param {string} url
   * @returns {Promise<Picture>}
   */
  static async load(url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`The picture is gone (status ${answer.status}).`);
    const blob = await answer.blob();
    const bitmap = await createImageBitmap(blob);
    const size = { width: bitmap.width, height: bitmap.height };
    const scale = Math.min(1, LONGEST / Math.max(size.width, size.height));
    if (scale === 1) return new Picture(blob, bitmap, size);
    const options = { resizeWidth: Math.round(size.width * scale), resizeHeight: Math.round(size.height * scale) };
    const small = await createImageBitmap(bitmap, { ...options, resizeQuality: "medium" });
    bitmap.close();
    return new Picture(blob, small, size);
  }

  /** Draw the whole picture into a canvas. */
  drawOn(canvas) {
    canvas.width = this.bitmap.width;
    canvas.height = this.bitmap.height;
    canvas.getContext("2d").drawImage(this.bitmap, 0, 0);
  }

  /**
   * A square part of the picture, `side` pixels large. Parts are kept until the picture is closed.
   * @param {{x: number, y: number, width: number, height: number}} box Pixels of the picture.
   * @returns {Promise<ImageBitmap>}
   */
  part(box, side) {
    const [x, y] = [Math.floor(box.x), Math.floor(box.y)];
    const extent = Math.max(1, Math.round(box.width));
    const key = `${x},${y},${extent},${side}`;
    if (!this.parts.has(key)) {
      const options = { resizeWidth: side, resizeHeight: side, resizeQuality: "medium" };
      this.parts.set(key, createImageBitmap(this.blob, x, y, extent, extent, options));
    }
    return this.parts.get(key);
  }

  close() {
    this.bitmap.close();
    for (const part of this.parts.values())
      part.then(
        (bitmap) => bitmap.close(),
        () => undefined,
      );
    this.parts.clear();
  }
}
