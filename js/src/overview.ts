// The whole recording in one strip, with the span on screen as a window that can be moved.

import { colour, element, fitCanvas } from "./dom";
import type { Session } from "./session";
import { drawColumns } from "./waveform";

export function overview(session: Session): { root: HTMLElement; update: () => void } {
  const { timeline } = session;
  const canvas = element("canvas", {
    class: "aic-overview-wave",
    "data-testid": "overview",
    role: "img",
    "aria-label": "Overview",
  });
  const shown = element("div", { class: "aic-window" });
  const root = element(
    "div",
    { class: "aic-overview", title: "Drag to move the span on screen" },
    canvas,
    shown,
  );

  const centre = (event: PointerEvent) => {
    const box = canvas.getBoundingClientRect();
    timeline.centre(((event.clientX - box.left) / box.width) * timeline.duration);
    session.moved();
  };
  root.addEventListener("pointerdown", (event) => {
    root.setPointerCapture(event.pointerId);
    centre(event);
  });
  root.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) centre(event);
  });

  let drawn = "";
  const update = () => {
    if (!session.waveform || canvas.clientWidth === 0) return;
    const [width, height] = fitCanvas(canvas);
    const [context, ink] = [canvas.getContext("2d"), colour(canvas, "--aic-wave")];
    const { waveform } = session;
    const look = `${timeline.duration} ${width} ${height} ${ink} ${waveform.version}`;
    if (context && look !== drawn) {
      drawn = look;
      drawColumns(context, waveform.columns(0, timeline.duration, width), waveform.peak, ink);
    }
    shown.style.left = `${(timeline.start / timeline.duration) * 100}%`;
    shown.style.width = `${(timeline.span / timeline.duration) * 100}%`;
  };
  return { root, update };
}
