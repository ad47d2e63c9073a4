// Below the plots: values under the pointer, the selection in numbers.

import { annotationAt } from "./annotations";
import type { Part } from "./controls";
import { summary } from "./display";
import { button, element } from "./dom";
import { clock, level as levelText, nats } from "./format";
import { frameAt } from "./frames";
import type { Session } from "./session";

/** Share of the span on screen within which an annotation without length is met. */
const SLACK = 0.005;

/** Values at a moment; `show` is for every frame of the screen. */
export function readout(session: Session): { root: HTMLElement; show: (seconds: number) => void } {
  const root = element("p", { class: "aic-readout", "data-testid": "hover" });
  const show = (seconds: number) => {
    const { model, curves, timeline } = session;
    const frame = frameAt(seconds);
    const values = model.get("visible_levels").map((level) => {
      const curve = curves.get(level);
      return `${levelText(level)}: ${curve ? nats(curve.ic[frame] ?? Number.NaN, curve.stderr[frame]) : "–"}`;
    });
    const note = annotationAt(session.annotations, seconds, timeline.span * SLACK)?.label ?? "";
    const text = session.waveform
      ? `${clock(seconds, 2)}   ${values.join("   ")}   nats   ${note}`.trimEnd()
      : "";
    if (root.textContent !== text) root.textContent = text;
  };
  return { root, show };
}

/** The selection in numbers, and what can be taken away. */
export function footer(session: Session, saving: Part): Part {
  const { model, curves, panels } = session;
  const chosen = element("p", { class: "aic-selected", "data-testid": "selected" });
  const help = button("help", "?", "Keys (?)", () => session.switch("help"));
  const root = element("div", { class: "aic-footer" }, chosen, saving.root, help);
  const update = () => {
    const span = model.get("selection");
    const parts = (span ? model.get("visible_levels") : []).flatMap((level) => {
      const curve = curves.get(level);
      const found = curve && span && summary(curve, ...span);
      return found ? [`${levelText(level)}: mean ${found.mean.toFixed(1)}, max ${found.max.toFixed(1)}`] : [];
    });
    chosen.textContent = span
      ? `${clock(span[0])}–${clock(span[1])}   ${parts.join("   ")}${parts.length ? "   nats" : ""}`
      : "Drag over the plots to select";
    saving.update();
    help.hidden = model.get("compact");
    help.setAttribute("aria-pressed", String(panels.help));
  };
  return { root, update };
}
