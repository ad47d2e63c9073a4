// What one hears and which span one sees: play, loop, speed, volume, zoom.

import type { Part } from "./controls";
import { button, element, icon } from "./dom";
import { clock, level as levelText } from "./format";
import type { Session } from "./session";

const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2];
export const ZOOM = 1.6;

/** `tick` is for every frame of the screen. */
export function transport(session: Session): Part & { tick: () => void } {
  const { model } = session;
  const play = button("play", icon("play"), "Play (space)", () => session.toggle());
  const rewind = button("rewind", icon("rewind"), "Back to the start (Home)", () => session.seek(0));
  const loop = button("loop", icon("loop"), "Loop the selection (L)", () =>
    session.set("loop", !model.get("loop")),
  );
  const time = element("span", {
    class: "aic-time",
    "data-testid": "time",
    role: "timer",
    "aria-label": "Position",
  });
  const speed = element("select", {
    class: "aic-field",
    "data-testid": "speed",
    title: "Speed; pitch follows, as on tape",
    "aria-label": "Speed",
  });
  speed.append(...SPEEDS.map((rate) => element("option", { value: rate }, `${rate}×`)));
  speed.addEventListener("change", () => session.set("speed", Number(speed.value)));
  const heard = element("select", {
    class: "aic-field",
    "data-testid": "heard",
    title: "What sounds: the recording, or what is left of it at a noise level (H switches)",
    "aria-label": "What sounds",
  });
  heard.addEventListener("change", () =>
    session.set("heard_level", heard.value === "" ? null : Number(heard.value)),
  );
  let offered = "";
  const offer = () => {
    const now = model.get("heard_level");
    const levels = [...new Set([...model.get("noise_levels"), ...(now === null ? [] : [now])])].sort(
      (a, b) => a - b,
    );
    if (offered !== String(levels)) {
      offered = String(levels);
      heard.replaceChildren(
        element("option", { value: "" }, "recording"),
        ...levels.map((each) => element("option", { value: each }, `left at ${levelText(each)}`)),
      );
    }
    heard.value = now === null ? "" : String(now);
    heard.hidden = !model.get("decodes") || session.kernel.missing;
  };
  const volume = element("input", {
    type: "range",
    min: 0,
    max: 1,
    step: 0.01,
    class: "aic-volume",
    "data-testid": "volume",
    title: "Volume",
    "aria-label": "Volume",
  });
  volume.addEventListener("input", () => session.set("volume", volume.valueAsNumber));
  const sound = element("label", { class: "aic-sound", title: "Volume" }, icon("volume"), volume);
  const root = element("div", { class: "aic-transport" }, rewind, play, loop, time, heard, speed, sound);
  const tick = () => {
    const text = `${clock(session.position)} / ${clock(session.timeline.duration)}`;
    if (time.textContent !== text) time.textContent = text;
  };
  const update = () => {
    const { sounding } = session;
    play.replaceChildren(icon(sounding ? "pause" : "play"));
    play.title = sounding ? "Pause (space)" : "Play (space)";
    play.setAttribute("aria-label", play.title);
    play.classList.toggle("aic-buffering", session.voice.player.state === "buffering");
    play.disabled = !session.playable;
    rewind.disabled = session.waveform === null;
    offer();
    heard.classList.toggle("aic-buffering", session.voice.player.turning);
    loop.setAttribute("aria-pressed", String(model.get("loop")));
    speed.value = String(
      SPEEDS.reduce((a, b) => (Math.abs(b - model.get("speed")) < Math.abs(a - model.get("speed")) ? b : a)),
    );
    volume.value = String(model.get("volume"));
    tick();
  };
  return { root, update, tick };
}

/** Zooms around the playhead where that is on screen. */
export function zoom(session: Session, factor: number): void {
  const { timeline, position } = session;
  const middle = (timeline.start + timeline.end) / 2;
  timeline.zoom(factor, timeline.shows(position) ? position : middle);
  session.moved();
}

export function zoomToSelection(session: Session): void {
  const selection = session.model.get("selection");
  if (!selection) return;
  session.timeline.show(...selection);
  session.moved();
}

export function zoomOut(session: Session): void {
  session.timeline.show(0, session.timeline.duration);
  session.moved();
}

export function zoomButtons(session: Session): Part {
  const { model, timeline } = session;
  const wider = button("zoom-out", icon("wider"), "Zoom out (−)", () => zoom(session, 1 / ZOOM));
  const closer = button("zoom-in", icon("closer"), "Zoom in (+)", () => zoom(session, ZOOM));
  const chosen = button("zoom-selection", icon("selection"), "Zoom to the selection (Z)", () =>
    zoomToSelection(session),
  );
  const whole = button("zoom-whole", icon("whole"), "Show everything (0)", () => zoomOut(session));
  const follow = button("follow", "Follow", "Follow the playhead (F)", () =>
    session.set("follow", !model.get("follow")),
  );
  const root = element(
    "div",
    { class: "aic-zoom", role: "group", "aria-label": "Span on screen" },
    wider,
    closer,
    chosen,
    whole,
    follow,
  );
  const update = () => {
    chosen.disabled = model.get("selection") === null;
    closer.disabled = session.waveform === null;
    wider.disabled = whole.disabled = timeline.whole;
    follow.setAttribute("aria-pressed", String(model.get("follow")));
  };
  return { root, update };
}
