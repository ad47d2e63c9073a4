// How a curve is shown: its unit and its smoothing. Display only: results are the kernel's.

import type { Curve, Curves, Lines } from "./curves";
import { FRAME_PERIOD } from "./frames";
import type { Unit } from "./messages";

export interface Display {
  unit: Unit;
  /** Frames in the running mean; 1 for none. */
  smoothing: number;
}

const UNITS: Record<Unit, string> = {
  nats: "nats",
  minmax: "min–max",
  zscore: "z-score",
  headroom: "nats above no knowledge",
};

export const UNIT_CHOICES = Object.entries(UNITS) as [Unit, string][];

/** What the y axis says: what the numbers are, and what was done to them. */
export function axisLabel({ unit, smoothing }: Display): string {
  const short = unit === "headroom" ? "headroom, nats" : UNITS[unit];
  return smoothing > 1 ? `${short} · ${(smoothing * FRAME_PERIOD).toFixed(1)} s mean` : short;
}

/** `curve` in a unit: (value - shift) / scale, as `ICResult.normalized` has it. */
export function scaleOf(
  curve: Curve,
  unit: Unit,
  lines: Lines | undefined,
): { shift: number; scale: number } {
  if (unit === "headroom") return { shift: lines?.noKnowledge ?? 0, scale: 1 };
  if (unit === "nats") return { shift: 0, scale: 1 };
  let [count, sum, low, high] = [0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of curve.ic) {
    if (Number.isNaN(value)) continue;
    count++;
    sum += value;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (count === 0 || low === high) return { shift: count ? low : 0, scale: 1 };
  if (unit === "minmax") return { shift: low, scale: high - low };
  const shift = sum / count;
  let squares = 0;
  for (const value of curve.ic) if (!Number.isNaN(value)) squares += (value - shift) ** 2;
  return { shift, scale: Math.sqrt(squares / count) };
}

/**
 * Centred running mean over `width` frames, gaps left out; errors of frames are independent. An even width has no
 * middle: its mean reaches one frame further back than on.
 */
export function smoothed(curve: Curve, width: number): Curve {
  const { ic, stderr, states } = curve;
  const out = { ic: new Float32Array(ic.length), stderr: new Float32Array(ic.length), states };
  const [back, on] = [Math.floor(width / 2), Math.floor((width - 1) / 2)];
  let [count, sum, squares] = [0, 0, 0];
  const add = (k: number, sign: 1 | -1) => {
    if (k < 0 || k >= ic.length || Number.isNaN(ic[k])) return;
    count += sign;
    sum += sign * ic[k];
    squares += sign * stderr[k] ** 2 || 0;
  };
  for (let k = 0; k < on; k++) add(k, 1);
  for (let k = 0; k < ic.length; k++) {
    add(k + on, 1);
    add(k - back - 1, -1);
    const gap = Number.isNaN(ic[k]);
    out.ic[k] = gap ? Number.NaN : sum / count;
    out.stderr[k] = gap || Number.isNaN(stderr[k]) ? Number.NaN : Math.sqrt(Math.max(squares, 0)) / count;
  }
  return out;
}

/** Curves as they are shown, made anew only when something has changed. */
export class Shown {
  private made = new Map<number, { key: string; curve: Curve }>();

  constructor(private readonly curves: Curves) {}

  get(level: number, { unit, smoothing }: Display): Curve | undefined {
    const raw = this.curves.get(level);
    if (!raw || (unit === "nats" && smoothing <= 1)) return raw;
    const key = `${this.curves.version} ${unit} ${smoothing}`;
    const known = this.made.get(level);
    if (known?.key === key) return known.curve;
    const { shift, scale } = scaleOf(raw, unit, this.curves.line(level));
    const scaled = {
      ic: raw.ic.map((value) => (value - shift) / scale),
      stderr: raw.stderr.map((value) => value / scale),
      states: raw.states,
    };
    const curve = smoothing > 1 ? smoothed(scaled, smoothing) : scaled;
    this.made.set(level, { key, curve });
    return curve;
  }
}

/** Mean and highest value in nats between two moments, of the frames these touch; null where there is none. */
export function summary(curve: Curve, start: number, end: number): { mean: number; max: number } | null {
  const first = Math.max(Math.floor(start / FRAME_PERIOD + 1e-9), 0);
  const stop = Math.min(Math.ceil(end / FRAME_PERIOD - 1e-9), curve.ic.length);
  let [count, sum, max] = [0, 0, Number.NEGATIVE_INFINITY];
  for (let k = first; k < stop; k++) {
    if (Number.isNaN(curve.ic[k])) continue;
    count++;
    sum += curve.ic[k];
    max = Math.max(max, curve.ic[k]);
  }
  return count ? { mean: sum / count, max } : null;
}
