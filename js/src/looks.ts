// How traces are drawn, and what else is: unit, lanes or overlay, smoothing, panels.

import type { Part } from "./controls";
import { UNIT_CHOICES } from "./display";
import { button, element } from "./dom";
import { FRAME_PERIOD } from "./frames";
import type { Unit } from "./messages";
import type { Session } from "./session";

/** Frames in the running mean. */
const WIDTHS = [1, 3, 5, 9, 17, 33, 65, 129];

export function looks(session: Session): Part {
  const { model, panels } = session;
  const layout = choice(
    "layout",
    "Arrangement",
    "Lanes: a scale for every level. Overlay: one scale for all",
    [
      ["lanes", "lanes"],
      ["overlay", "overlay"],
    ],
  );
  layout.addEventListener("change", () => session.set("overlay", layout.value === "overlay"));
  const unit = choice(
    "unit",
    "Unit",
    "What the y axis counts: raw nats cannot be compared between levels",
    UNIT_CHOICES,
  );
  unit.addEventListener("change", () => session.set("unit", unit.value as Unit));
  const smoothing = element("input", {
    type: "range",
    min: 0,
    max: WIDTHS.length - 1,
    step: 1,
    "data-testid": "smoothing",
    "aria-label": "Smoothing",
  });
  smoothing.addEventListener("input", () => session.set("smoothing", WIDTHS[smoothing.valueAsNumber]));
  const width = element("output", { class: "aic-value", "data-testid": "smoothing-value" });
  const smooth = element(
    "label",
    { class: "aic-slider", title: "Running mean of what is drawn; the result stays as it is" },
    element("span", {}, "Smoothing"),
    smoothing,
    width,
  );
  const mel = button("spectrogram", "Spectrogram", "Show or hide the mel spectrogram (S)", () =>
    session.switch("spectrogram"),
  );
  const peaks = button("peaks", "Peaks", "List the most surprising moments (P)", () =>
    session.switch("peaks"),
  );
  const root = element("div", { class: "aic-looks" }, layout, unit, smooth, mel, peaks);
  const update = () => {
    layout.value = model.get("overlay") ? "overlay" : "lanes";
    unit.value = model.get("unit");
    const frames = model.get("smoothing");
    const stop = WIDTHS.findIndex((each) => each >= frames);
    smoothing.value = String(stop < 0 ? WIDTHS.length - 1 : stop);
    width.textContent = frames > 1 ? `${(frames * FRAME_PERIOD).toFixed(1)} s` : "off";
    smoothing.setAttribute("aria-valuetext", width.textContent);
    mel.setAttribute("aria-pressed", String(panels.spectrogram));
    peaks.setAttribute("aria-pressed", String(panels.peaks));
  };
  return { root, update };
}

function choice(id: string, label: string, tooltip: string, options: [string, string][]): HTMLSelectElement {
  const select = element("select", {
    class: "aic-field",
    "data-testid": id,
    title: tooltip,
    "aria-label": label,
  });
  select.append(...options.map(([value, text]) => element("option", { value }, text)));
  return select;
}
