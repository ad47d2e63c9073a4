// From one value a frame to steps that can be drawn: at most one a pixel, whatever the zoom.

import { BELOW_FLOOR, type Curve, FINAL, stage } from "./curves";
import { clamp, FRAME_PERIOD, frameAt } from "./frames";

/** A frame, or several that fall into one pixel, with their extremes; gaps are left out. */
export interface Step {
  /** Its span in seconds. */
  from: number;
  to: number;
  low: number;
  high: number;
  /** Extremes with their standard errors; NaN where these are not known. */
  bandLow: number;
  bandHigh: number;
  settled: boolean;
  flagged: boolean;
}

/**
 * The part of `curve` between the seconds `start` and `end`.
 *
 * While frames are wider than a pixel, each is a step. Where there are more, all that fall into one pixel make one,
 * from the lowest to the highest value, so that no peak is lost.
 */
export function steps(curve: Curve, start: number, end: number, pixels: number): Step[] {
  const out: Step[] = [];
  const { ic, stderr, states } = curve;
  const first = clamp(frameAt(start), 0, ic.length);
  const stop = clamp(frameAt(end) + 1, 0, ic.length);
  const size = Math.max(Math.ceil((end - start) / FRAME_PERIOD / Math.max(pixels, 1)), 1);
  // Groups are aligned to the file, not to the view, so that the curve does not flicker while it is moved.
  for (let from = Math.floor(first / size) * size; from < stop; from += size) {
    const to = Math.min(from + size, ic.length);
    let [low, high] = [from, from];
    for (let k = from + 1; k < to; k++) {
      if (ic[k] < ic[low] || Number.isNaN(ic[low])) low = k;
      if (ic[k] > ic[high] || Number.isNaN(ic[high])) high = k;
    }
    if (Number.isNaN(ic[low])) continue;
    out.push({
      from: from * FRAME_PERIOD,
      to: to * FRAME_PERIOD,
      low: ic[low],
      high: ic[high],
      bandLow: ic[low] - stderr[low],
      bandHigh: ic[high] + stderr[high],
      settled: stage(states[low]) === FINAL && stage(states[high]) === FINAL,
      flagged: (states[low] & BELOW_FLOOR) !== 0,
    });
  }
  return out;
}
