// Pointer, wheel and touch on the plots: go there, select, zoom, move along.

import type { Session } from "./session";

/** Pixels a pressed pointer moves before it selects instead of seeking. */
const DRAG = 4;

export interface Plot {
  /** Second of the recording under a pointer. */
  toSeconds: (event: MouseEvent) => number;
  /** Width of the plots in CSS pixels. */
  width: () => number;
  /** The pointer is over a moment, or has left. */
  hover: (seconds: number | null) => void;
}

export function listenToPointer(
  stack: HTMLElement,
  session: Session,
  { toSeconds, width, hover }: Plot,
): void {
  const { model, timeline } = session;
  const fingers = new Map<number, PointerEvent>();
  let pressed: { at: number; x: number; selecting: boolean } | null = null;

  const pinch = (event: PointerEvent) => {
    const [one, other] = [...fingers.values()];
    const before = Math.abs(one.clientX - other.clientX);
    const middle = (toSeconds(one) + toSeconds(other)) / 2;
    fingers.set(event.pointerId, event);
    const [a, b] = [...fingers.values()];
    const moved = (toSeconds(a) + toSeconds(b)) / 2 - middle;
    timeline.zoom(Math.max(Math.abs(a.clientX - b.clientX), 1) / Math.max(before, 1), middle);
    timeline.pan(-moved);
    session.moved();
  };

  stack.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    stack.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
    pressed = fingers.size === 1 ? { at: toSeconds(event), x: event.clientX, selecting: false } : null;
  });
  stack.addEventListener("pointermove", (event) => {
    if (fingers.size === 2 && fingers.has(event.pointerId)) return pinch(event);
    const at = toSeconds(event);
    if (pressed && (pressed.selecting || Math.abs(event.clientX - pressed.x) > DRAG)) {
      pressed.selecting = true;
      if (at !== pressed.at) model.set("selection", [Math.min(pressed.at, at), Math.max(pressed.at, at)]);
    }
    hover(at);
  });
  const lifted = (event: PointerEvent) => {
    fingers.delete(event.pointerId);
    if (event.type === "pointerup") {
      if (pressed?.selecting) model.save_changes();
      else if (pressed) session.seek(pressed.at);
    }
    pressed = null;
    if (event.pointerType === "touch") hover(null);
  };
  stack.addEventListener("pointerup", lifted);
  stack.addEventListener("pointercancel", lifted);
  stack.addEventListener("pointerleave", () => hover(null));
  stack.addEventListener(
    "wheel",
    (event) => {
      // Without a modifier the wheel scrolls the page.
      if (event.ctrlKey || event.metaKey) timeline.zoom(Math.exp(-event.deltaY / 300), toSeconds(event));
      else if (event.shiftKey) timeline.pan(((event.deltaX || event.deltaY) / width()) * timeline.span);
      else return;
      event.preventDefault();
      session.moved();
    },
    { passive: false },
  );
}
