// Draws a trace with its band. Everything in it is upright, so rectangles do: filling or stroking a path as jagged
// as this takes a browser that draws without a graphics card half a second.

import type { Step } from "./decimate";

/** Of a line, in CSS pixels. */
const THICKNESS = 1.5;
const FLAG = 3;
const BAND = 0.22;
/** Of what is not final. */
const PENDING = 0.4;

/** Where a plot is on its canvas, in device pixels, and what it spans. */
export interface Frame {
  left: number;
  top: number;
  width: number;
  height: number;
  start: number;
  end: number;
  low: number;
  high: number;
  /** Device pixels a CSS pixel. */
  ratio: number;
}

/** @param dash lengths drawn and left out in turn, in CSS pixels; none for a whole line */
export function drawTrace(
  context: CanvasRenderingContext2D,
  steps: Step[],
  frame: Frame,
  ink: string,
  alarm: string,
  dash: number[],
): void {
  const { left, top, width, height, start, end, low, high, ratio } = frame;
  const x = (seconds: number) => Math.round(left + ((seconds - start) / (end - start)) * width);
  const y = (value: number) => Math.round(top + ((high - value) / (high - low)) * height);
  const thick = Math.max(Math.round(THICKNESS * ratio), 1);
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.fillStyle = ink;
  context.globalAlpha = BAND;
  for (const step of steps) {
    if (Number.isNaN(step.bandHigh - step.bandLow)) continue;
    const [from, above] = [x(step.from), y(step.bandHigh)];
    context.fillRect(from, above, x(step.to) - from, y(step.bandLow) - above);
  }
  const drawn = dashes(dash, ratio);
  let before: { to: number; above: number; below: number } | null = null;
  for (const step of steps) {
    const [from, to] = [x(step.from), Math.max(x(step.to), x(step.from) + 1)];
    const above = y(step.high) - (thick >> 1);
    const below = Math.max(y(step.low) - (thick >> 1) + thick, above + thick);
    context.globalAlpha = step.settled ? 1 : PENDING;
    // Dashes move along with the recording.
    for (const [a, b] of drawn(from - x(0), to - x(0)))
      context.fillRect(x(0) + a, above, b - a, below - above);
    if (before && before.to >= from) {
      const [upper, lower] = [Math.min(below, before.below), Math.max(above, before.above)];
      // Where frames are hardly wider than the line, thin ones between them leave the frames to be seen.
      const joint = to - from < 3 * thick ? Math.max(Math.round(ratio), 1) : thick;
      if (lower > upper) context.fillRect(from, upper, Math.min(joint, to - from), lower - upper);
    }
    before = { to, above, below };
  }
  context.globalAlpha = 1;
  context.fillStyle = alarm;
  const flag = Math.round(FLAG * ratio);
  for (const step of steps)
    if (step.flagged) {
      const from = x(step.from);
      context.fillRect(from, y(step.low) - (flag >> 1), Math.max(x(step.to) - from, 1), flag);
    }
  context.restore();
}

type Span = [number, number];

/** Gives the parts of a span of device pixels in which a line with this pattern is drawn. */
function dashes(pattern: number[], ratio: number): (from: number, to: number) => Span[] {
  if (!pattern.length) return (from, to) => [[from, to]];
  const lengths = pattern.map((length) => Math.round(length * ratio));
  const period = lengths.reduce((sum, length) => sum + length, 0);
  return (from, to) => {
    const found: Span[] = [];
    for (let begin = Math.floor(from / period) * period; begin < to; begin += period) {
      let at = begin;
      lengths.forEach((length, part) => {
        const [a, b] = [Math.max(at, from), Math.min(at + length, to)];
        if (part % 2 === 0 && a < b) found.push([a, b]);
        at += length;
      });
    }
    return found;
  };
}
