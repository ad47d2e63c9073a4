// Annotations as a lane: spans with their labels, moments as lines.

import { colour } from "./dom";
import { type Answer, float64 } from "./messages";
import type { Session } from "./session";

const INSET = 4;

export interface Annotation {
  start: number;
  end: number;
  label: string;
}

export function annotationsOf(
  { labels }: Extract<Answer, { type: "annotations" }>,
  buffers: DataView[],
): Annotation[] {
  const [starts, ends] = buffers.map(float64);
  return labels.map((label, row) => ({ start: starts[row], end: ends[row], label }));
}

export function drawAnnotations(canvas: HTMLCanvasElement, session: Session): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const { width, height } = canvas;
  const { start, end, span } = session.timeline;
  const ratio = width / Math.max(canvas.clientWidth, 1);
  const toX = (seconds: number) => ((seconds - start) / span) * width;
  const [ink, fill, text] = ["--aic-line", "--aic-grid", "--aic-fg"].map((name) => colour(canvas, name));
  context.clearRect(0, 0, width, height);
  context.font = `${11 * ratio}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  let free = 0;
  for (const each of session.annotations) {
    if (each.end < start || each.start > end) continue;
    const [left, right] = [Math.max(toX(each.start), 0), Math.min(toX(each.end), width)];
    context.fillStyle = fill;
    context.fillRect(left, 0, right - left, height);
    context.fillStyle = ink;
    context.fillRect(left, 0, ratio, height);
    // A label that would run into the one before stays hidden until there is room.
    const room = (right > left ? right : width) - left - 2 * INSET * ratio;
    const wide = context.measureText(each.label).width;
    if (!each.label || left < free || room < Math.min(wide, 24 * ratio)) continue;
    context.save();
    context.beginPath();
    context.rect(left, 0, right > left ? right - left : wide + 2 * INSET * ratio, height);
    context.clip();
    context.fillStyle = text;
    context.fillText(each.label, left + INSET * ratio, height / 2 + ratio);
    context.restore();
    free = left + Math.min(wide + 2 * INSET * ratio, right > left ? right - left : Number.POSITIVE_INFINITY);
  }
}

/** The shortest annotation at a moment; `slack` seconds around those without length. */
export function annotationAt(all: Annotation[], seconds: number, slack: number): Annotation | undefined {
  return all
    .filter(
      ({ start, end }) =>
        seconds >= start - (end > start ? 0 : slack) && seconds <= Math.max(end, start + slack),
    )
    .sort((a, b) => a.end - a.start - (b.end - b.start))[0];
}
