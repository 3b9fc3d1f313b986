/** Pictures of a node's result. Each is decoded once, outside of the main thread. */

const LONGEST = 1024; // pixels along the longer side of the copy on the page

/**
 * A picture that can be drawn whole and in parts. A large picture is drawn as a small copy, so that zooming and panning
 * the graph stay fast. Parts are cut from the picture at its full size.
 */
export class Picture {
  /** @param {Blob} blob */
  constructor(blob, bitmap, size) {
    this.blob = blob;
    this.bitmap = bitmap;
    this.size = size;
    this.parts = new Map();
    this.closed = false;
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
   * Cut out a square part of the picture, resized to `side` pixels. Parts are kept until the picture is closed.
   * @param {{x: number, y: number, width: number}} box The part in pixels of the picture.
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
    this.closed = true;
    this.bitmap.close();
    for (const part of this.parts.values())
      part.then(
        (bitmap) => bitmap.close(),
        () => undefined,
      );
    this.parts.clear();
  }
}
