// The mel spectrogram at any zoom, from tiles that the kernel computes; the twin of audioic_widget/spectrogram.py.

import { SAMPLE_RATE } from "./frames";
import { type Answer, type Request, uint8 } from "./messages";

const COLUMN_SAMPLES = 1024;
const FACTOR = 4;
/** Columns in a tile: 100 kB. */
const TILE = 1024;
/** Tiles kept, those drawn last: more than any screen is wide, 26 MB. */
const KEPT = 64;
/** Dark to light, as in magma: lightness grows evenly. */
const RAMP = [
  [0, 0, 4],
  [81, 18, 124],
  [183, 55, 121],
  [252, 137, 97],
  [252, 253, 191],
];

export class Spectrogram {
  private duration = 0;
  private tiles = new Map<string, HTMLCanvasElement | null>();

  constructor(private readonly ask: (request: Request) => void) {}

  open(duration: number): void {
    this.duration = duration;
  }

  take(message: Extract<Answer, { type: "spectrogram" }>, buffer: DataView): void {
    const { count, mels } = message;
    const tile = document.createElement("canvas");
    tile.width = Math.max(count, 1);
    tile.height = mels;
    const values = uint8(buffer);
    const context = tile.getContext("2d");
    const image = context?.createImageData(tile.width, mels);
    if (!context || !image) return;
    const colours = new Uint32Array(image.data.buffer);
    for (let x = 0; x < count; x++)
      for (let mel = 0; mel < mels; mel++)
        colours[(mels - 1 - mel) * tile.width + x] = LOOKUP[values[x * mels + mel]];
    context.putImageData(image, 0, 0);
    this.touch(`${message.level}:${message.first / TILE}`, tile);
    for (const old of this.tiles.keys()) {
      if (this.tiles.size <= KEPT) break;
      this.tiles.delete(old);
    }
  }

  /** A map knows the order of what is put in: what was needed last is its last. */
  private touch(key: string, tile: HTMLCanvasElement | null): void {
    this.tiles.delete(key);
    this.tiles.set(key, tile);
  }

  /** Draws the seconds `start` to `end` over the whole canvas; what is missing is asked for, once. */
  draw(context: CanvasRenderingContext2D, start: number, end: number): void {
    const { width, height } = context.canvas;
    context.clearRect(0, 0, width, height);
    const perPixel = ((end - start) * SAMPLE_RATE) / width;
    let level = 0;
    while (COLUMN_SAMPLES * FACTOR ** (level + 1) <= perPixel) level++;
    const seconds = (TILE * COLUMN_SAMPLES * FACTOR ** level) / SAMPLE_RATE;
    const last = Math.floor(Math.min(end, this.duration - 1e-6) / seconds);
    for (let index = Math.floor(start / seconds); index <= last; index++) {
      const key = `${level}:${index}`;
      const tile = this.tiles.get(key);
      this.touch(key, tile ?? null);
      if (tile === undefined) this.ask({ type: "spectrogram", level, first: index * TILE, count: TILE });
      if (!tile) continue;
      const left = ((index * seconds - start) / (end - start)) * width;
      const wide = ((tile.width / TILE) * seconds * width) / (end - start);
      context.drawImage(tile, left, 0, wide, height);
    }
  }
}

const LOOKUP = Uint32Array.from({ length: 256 }, (_, value) => {
  const at = (value / 255) * (RAMP.length - 1);
  const below = Math.min(Math.floor(at), RAMP.length - 2);
  const [r, g, b] = RAMP[below].map((from, part) =>
    Math.round(from + (RAMP[below + 1][part] - from) * (at - below)),
  );
  return (255 << 24) | (b << 16) | (g << 8) | r;
});
