// From one value a frame to points a chart can draw: steps over the frames' spans, at most two a pixel.

import { BELOW_FLOOR, type Curve, FINAL, stage } from "./curves";
import { clamp, FRAME_PERIOD, frameAt } from "./frames";

type Column = (number | null)[];

/** Columns of equal length; null is a gap. `settled` and `pending` never hold the same frame. */
export interface Points {
  x: number[];
  settled: Column;
  pending: Column;
  high: Column;
  low: Column;
  flagged: Column;
}

/**
 * The part of `curve` between the seconds `start` and `end`.
 *
 * While frames are wider than half a pixel, each gives two points, where it begins and where it ends. Where
 * there are more, all that fall into one pixel give two, the lowest and the highest, so that no peak is lost.
 */
export function points(curve: Curve, start: number, end: number, pixels: number): Points {
  const out: Points = { x: [], settled: [], pending: [], high: [], low: [], flagged: [] };
  const first = clamp(frameAt(start), 0, curve.ic.length);
  const stop = clamp(frameAt(end) + 1, 0, curve.ic.length);
  const perPixel = (stop - first) / Math.max(pixels, 1);
  if (perPixel <= 2) {
    for (let k = first; k < stop; k++) {
      put(out, k * FRAME_PERIOD, curve, k);
      put(out, (k + 1) * FRAME_PERIOD, curve, k);
    }
    return out;
  }
  const size = Math.ceil(perPixel);
  // Groups are aligned to the file, not to the view, so that the curve does not flicker while it is moved.
  for (let group = Math.floor(first / size); group * size < stop; group++) {
    const from = Math.max(group * size, 0);
    const [low, high] = extremes(curve.ic, from, Math.min(from + size, curve.ic.length));
    put(out, from * FRAME_PERIOD, curve, Math.min(low, high));
    put(out, (from + size / 2) * FRAME_PERIOD, curve, Math.max(low, high));
  }
  return out;
}

/** Frames with the lowest and the highest value; the first frame where all are gaps. */
function extremes(values: Float32Array, from: number, stop: number): [number, number] {
  let low = from;
  let high = from;
  for (let k = from; k < stop; k++) {
    if (values[k] < values[low] || Number.isNaN(values[low])) low = k;
    if (values[k] > values[high] || Number.isNaN(values[high])) high = k;
  }
  return [low, high];
}

function put(out: Points, x: number, { ic, stderr, states }: Curve, k: number): void {
  const value = Number.isNaN(ic[k]) ? null : ic[k];
  const error = Number.isNaN(stderr[k]) ? null : stderr[k];
  const settled = stage(states[k]) === FINAL;
  out.x.push(x);
  out.settled.push(settled ? value : null);
  out.pending.push(settled ? null : value);
  out.high.push(value === null || error === null ? null : value + error);
  out.low.push(value === null || error === null ? null : value - error);
  out.flagged.push(states[k] & BELOW_FLOOR ? value : null);
}
