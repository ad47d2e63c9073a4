// The waveform at any zoom, from a min/max pyramid that is fetched from the kernel piece by piece.

import { clamp, SAMPLE_RATE } from "./frames";
import { type Answer, int16, type Request } from "./messages";

/** Bins fetched at once: a quarter of a megabyte. */
const PIECE = 65_536;

export class Waveform {
  /** The loudest sample: it is drawn at full height, so that quiet recordings can be seen too. */
  readonly peak: number;
  /** Grows with every piece that comes. */
  version = 0;
  private pieces = new Map<string, Int16Array | null>();

  /**
   * @param binSamples samples a bin at every level, finest first
   * @param overview the coarsest level, which needs no fetching
   */
  constructor(
    private readonly binSamples: number[],
    private readonly overview: Int16Array,
    private readonly ask: (request: Request) => void,
  ) {
    this.peak = overview.reduce((most, sample) => Math.max(most, Math.abs(sample)), 1);
  }

  take(message: Extract<Answer, { type: "waveform" }>, buffer: DataView): void {
    this.version++;
    this.pieces.set(`${message.level}:${message.first / PIECE}`, int16(buffer));
  }

  /**
   * Lowest and highest sample of each of `pixels` columns between the seconds `start` and `end`.
   *
   * A column is empty (low above high) where the recording is not. Coarser bins stand in until finer ones are there.
   */
  columns(start: number, end: number, pixels: number): Int16Array {
    const perPixel = ((end - start) * SAMPLE_RATE) / pixels;
    let level = 0;
    while (level + 1 < this.binSamples.length && this.binSamples[level + 1] <= perPixel) level++;
    const out = new Int16Array(2 * pixels);
    for (let column = 0; column < pixels; column++) {
      const from = start * SAMPLE_RATE + column * perPixel;
      const [low, high] = this.extremes(level, from, from + perPixel);
      out[2 * column] = low;
      out[2 * column + 1] = high;
    }
    return out;
  }

  private extremes(level: number, from: number, to: number): [number, number] {
    const size = this.binSamples[level];
    const first = Math.max(Math.floor(from / size), 0);
    const stop = Math.max(Math.ceil(to / size), first + 1);
    const coarsest = level === this.binSamples.length - 1;
    let low = 32_767;
    let high = -32_768;
    for (let bin = first; bin < stop; ) {
      const piece = this.piece(level, Math.floor(bin / PIECE));
      if (!piece) return this.extremes(this.binSamples.length - 1, from, to);
      const offset = coarsest ? 0 : bin - (bin % PIECE);
      const end = Math.min(stop, coarsest ? stop : offset + PIECE, offset + piece.length / 2);
      if (end <= bin) break;
      for (; bin < end; bin++) {
        low = Math.min(low, piece[2 * (bin - offset)]);
        high = Math.max(high, piece[2 * (bin - offset) + 1]);
      }
    }
    return [low, high];
  }

  /** Bins that are there; asks for those that are not, once. */
  private piece(level: number, index: number): Int16Array | null {
    if (level === this.binSamples.length - 1) return this.overview;
    const key = `${level}:${index}`;
    const known = this.pieces.get(key);
    if (known === undefined) {
      this.pieces.set(key, null);
      this.ask({ type: "waveform", level, first: index * PIECE, count: PIECE });
    }
    return known ?? null;
  }
}

/** Draws columns of `Waveform` into the whole of a canvas, `peak` being full height. */
export function drawColumns(
  context: CanvasRenderingContext2D,
  columns: Int16Array,
  peak: number,
  colour: string,
): void {
  const { width, height } = context.canvas;
  const pixels = columns.length / 2;
  context.clearRect(0, 0, width, height);
  context.fillStyle = colour;
  for (let column = 0; column < pixels; column++) {
    const [low, high] = [columns[2 * column], columns[2 * column + 1]];
    if (low > high) continue;
    const top = ((1 - high / peak) / 2) * height;
    const tall = clamp(((high - low) / (2 * peak)) * height, 1, height);
    context.fillRect((column / pixels) * width, Math.min(top, height - 1), Math.ceil(width / pixels), tall);
  }
}
