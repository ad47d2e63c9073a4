// Levels, sliders and status: what decides the computation.

import { button, element, icon } from "./dom";
import { clock, level as levelText } from "./format";
import { ink } from "./inks";
import type { Session } from "./session";

const STEPS = [1, 2, 4, 6, 8, 12, 16, 20, 25, 32, 40, 50, 64, 80, 100, 150, 200];
const PROBES = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];
const DRAWS = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256];
const PRESETS = ["draft", "standard", "pa-audioic", "exact"];
/** Milliseconds a slider rests before its value is sent. */
const REST = 80;

/** A piece of the view that brings itself up to date. */
export interface Part {
  root: HTMLElement;
  update: () => void;
}

/** The row with name, model and status. */
export function header(session: Session): Part {
  const { model } = session;
  const name = element("strong", { class: "aic-name", "data-testid": "name" });
  const about = element("span", { class: "aic-about" });
  const status = element("span", { class: "aic-status", "data-testid": "status" });
  const bar = element("progress", { class: "aic-progress", max: 1, value: 0, "aria-label": "Progress" });
  const cancel = button("cancel", icon("cross"), "Cancel the computation", () =>
    session.send({ type: "cancel" }),
  );
  const again = button("compute", "Compute", "Compute again", () => session.send({ type: "compute" }));
  const listen = button("solo", icon("volume"), "Listen to this one (A: to the next)", () =>
    session.listen(),
  );
  const settings = button("settings", icon("settings"), "Noise levels, steps and probes", () =>
    session.switch("settings"),
  );
  const root = element(
    "div",
    { class: "aic-header" },
    listen,
    name,
    about,
    status,
    bar,
    cancel,
    again,
    settings,
  );
  const update = () => {
    listen.hidden = settings.hidden = !session.grouped;
    listen.setAttribute("aria-pressed", String(session.voice === session));
    settings.setAttribute("aria-pressed", String(session.panels.settings));
    const [duration, state] = [model.get("duration"), model.get("status")];
    name.textContent = model.get("name");
    name.title = model.get("name");
    about.textContent = [
      duration ? clock(duration, 0) : "",
      model.get("model_name"),
      model.get("device_name"),
      // What two that are compared may differ in.
      session.grouped ? `${model.get("preset")}, ${model.get("n_steps")} steps` : "",
    ]
      .filter(Boolean)
      .join(" · ");
    const encoding = model.get("encoded") < 1;
    const done = model.get(encoding ? "encoded" : "progress");
    const share = Math.floor(done * 100);
    const words = {
      idle: "",
      running: duration ? `${encoding ? "encoding" : "refining"} ${share} %` : "reading",
      done: "done",
      cancelled: "cancelled",
      error: "failed",
    };
    status.textContent = words[state];
    bar.value = done;
    bar.hidden = cancel.hidden = state !== "running";
    again.hidden = state !== "cancelled" && state !== "error";
  };
  return { root, update };
}

/** What went wrong, or what one should know, as a sentence. */
export function sentences(session: Session): Part {
  const { model } = session;
  const error = element("p", { class: "aic-error", role: "alert", "data-testid": "error" });
  const notice = element("p", { class: "aic-notice", role: "status", "data-testid": "notice" });
  const update = () => {
    error.textContent = model.get("error");
    error.hidden = !error.textContent;
    notice.textContent = session.hint || model.get("notice");
    notice.hidden = !notice.textContent;
  };
  return { root: element("div", {}, error, notice), update };
}

/** In one change: what is drawn is always a part of what is computed; all of it where nothing else was drawn. */
export function removeLevel(session: Session, level: number): void {
  const left = session.model.get("noise_levels").filter((other) => other !== level);
  const drawn = session.model.get("visible_levels").filter((other) => other !== level);
  session.model.set("visible_levels", drawn.length ? drawn : left);
  session.set("noise_levels", left);
}

/** A chip for every noise level, to hide or remove it, and a field to add one. */
export function levels(session: Session): Part {
  const { model } = session;
  const chips = element("span", { class: "aic-chips", role: "group", "aria-label": "Noise levels" });
  const field = element("input", {
    type: "number",
    min: 0,
    max: 1,
    step: 0.05,
    class: "aic-field",
    "data-testid": "new-level",
    placeholder: "level",
    title: "Noise level to add, 0 to 1",
    "aria-label": "Noise level to add, 0 to 1",
  });
  const add = () => {
    const value = field.valueAsNumber;
    const now = model.get("noise_levels");
    const wrong = !(value >= 0 && value <= 1)
      ? "Give a noise level from 0 to 1."
      : now.includes(value)
        ? `Level ${value} is there already.`
        : "";
    field.setCustomValidity(wrong);
    if (wrong) {
      field.reportValidity();
      return;
    }
    field.value = "";
    session.set(
      "noise_levels",
      [...now, value].sort((a, b) => a - b),
    );
  };
  field.addEventListener("input", () => field.setCustomValidity(""));
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") add();
  });
  const root = element(
    "div",
    { class: "aic-levels" },
    element("span", {}, "Noise levels"),
    chips,
    field,
    button("add-level", "+", "Add this noise level", add),
  );
  let shown = "";
  const update = () => {
    const now = model.get("noise_levels");
    const visible = model.get("visible_levels");
    const key = JSON.stringify([now, visible, root.closest<HTMLElement>(".audioic")?.dataset.theme]);
    if (key === shown) return;
    shown = key;
    chips.replaceChildren(
      ...now.map((level) => {
        const text = levelText(level);
        const show = button(`level-${level}`, text, `Show or hide noise level ${text}`, () => {
          const others = model.get("visible_levels").filter((other) => other !== level);
          session.set("visible_levels", visible.includes(level) ? others : [...others, level]);
        });
        show.setAttribute("aria-pressed", String(visible.includes(level)));
        show.style.setProperty("--aic-ink", ink(level, root));
        const remove = button(`remove-${level}`, "×", `Remove noise level ${text}`, () =>
          removeLevel(session, level),
        );
        remove.disabled = now.length === 1;
        return element("span", { class: "aic-chip" }, show, remove);
      }),
    );
  };
  return { root, update };
}

/** Sliders and the preset. */
export function sliders(session: Session): Part {
  const { model } = session;
  const parts = [
    slider(session, "steps", "Steps", "Solver steps: more are closer to the exact value", "n_steps", STEPS),
    slider(
      session,
      "probes",
      "Probes",
      "Probes a divergence estimate: more make the band narrower",
      "n_probes",
      PROBES,
    ),
    slider(
      session,
      "monte-carlo",
      "Monte Carlo",
      "Draws of noise whose mean is added to the evaluated point",
      "monte_carlo_samples",
      DRAWS,
    ),
  ];
  const preset = element("select", {
    "data-testid": "preset",
    class: "aic-field",
    title: "Preset: sets steps and probes",
    "aria-label": "Preset",
  });
  preset.append(...PRESETS.map((name) => element("option", { value: name }, name)));
  preset.addEventListener("change", () => session.set("preset", preset.value));
  const root = element("div", { class: "aic-sliders" }, ...parts.map((part) => part.root), preset);
  const update = () => {
    for (const part of parts) part.update();
    preset.value = model.get("preset");
  };
  return { root, update };
}

function slider(
  session: Session,
  id: string,
  label: string,
  tooltip: string,
  trait: "n_steps" | "n_probes" | "monte_carlo_samples",
  stops: number[],
): Part {
  const { model } = session;
  const input = element("input", {
    type: "range",
    min: 0,
    max: stops.length - 1,
    step: 1,
    "data-testid": id,
    title: tooltip,
    "aria-label": label,
  });
  const value = element("output", { class: "aic-value", "data-testid": `${id}-value` });
  const root = element(
    "label",
    { class: "aic-slider", title: tooltip },
    element("span", {}, label),
    input,
    value,
  );
  let rest: ReturnType<typeof setTimeout> | undefined;
  let unsent = false;
  // What moves a slider once is answered at once; while it is shaken, only where it comes to rest.
  const send = () => {
    unsent = false;
    session.set(trait, stops[input.valueAsNumber] || (null as never));
  };
  const say = (number: number) => {
    value.textContent = number ? String(number) : "off";
    input.setAttribute("aria-valuetext", value.textContent);
  };
  input.addEventListener("input", () => {
    say(stops[input.valueAsNumber]);
    if (rest === undefined) send();
    else unsent = true;
    clearTimeout(rest);
    rest = setTimeout(() => {
      rest = undefined;
      if (unsent) send();
      else update();
    }, REST);
  });
  const update = () => {
    input.disabled =
      (trait === "n_probes" && model.get("divergence") === "exact") ||
      (trait === "n_steps" && model.get("solver") === "scipy");
    if (rest !== undefined) return;
    const now = model.get(trait) ?? 0;
    input.value = String(nearest(stops, now));
    if (input.disabled) value.textContent = "–";
    else say(now);
  };
  return { root, update };
}

function nearest(stops: number[], value: number): number {
  return stops.reduce(
    (best, stop, index) => (Math.abs(stop - value) < Math.abs(stops[best] - value) ? index : best),
    0,
  );
}
