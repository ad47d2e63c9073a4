// The keyboard, and the panel that tells of it.

import type { Part } from "./controls";
import { element } from "./dom";
import { FRAME_PERIOD } from "./frames";
import type { Session } from "./session";
import { ZOOM, zoom, zoomOut, zoomToSelection } from "./transport";

const HELP: [string, string][] = [
  ["Space", "play, pause"],
  ["← →", "a second back, on; with Shift, a frame"],
  ["Home End", "to the start, to the end"],
  ["L", "loop the selection"],
  ["+ −", "zoom in, out"],
  ["Z 0", "zoom to the selection, show everything"],
  ["F", "follow the playhead"],
  ["H", "hear the recording, or what noise leaves of it"],
  ["A", "listen to the next one compared"],
  ["S P", "spectrogram, peaks"],
  ["Esc", "close this, drop the selection"],
  ["Click, drag", "go there, select"],
  ["Ctrl or ⌘ + wheel", "zoom at the pointer; two fingers on a touch screen"],
  ["Shift + wheel", "move along"],
  ["Right click", "save or copy"],
];

/** Calls what a key stands for; `onKey` after each. */
export function listenToKeys(root: HTMLElement, session: Session, onKey: () => void): void {
  const { model, timeline, panels } = session;
  const step = (event: KeyboardEvent) => (event.shiftKey ? FRAME_PERIOD : 1);
  /** Goes there, and on screen: a pointer can only point at what is there, keys can leave it. */
  const go = (seconds: number) => {
    session.seek(seconds);
    if (session.sounding || timeline.shows(session.position)) return;
    timeline.centre(session.position);
    session.moved();
  };
  const keys: Record<string, (event: KeyboardEvent) => void> = {
    " ": () => session.toggle(),
    arrowleft: (event) => go(session.position - step(event)),
    arrowright: (event) => go(session.position + step(event)),
    home: () => go(0),
    end: () => go(timeline.duration),
    l: () => session.set("loop", !model.get("loop")),
    "+": () => zoom(session, ZOOM),
    "=": () => zoom(session, ZOOM),
    "-": () => zoom(session, 1 / ZOOM),
    z: () => zoomToSelection(session),
    "0": () => zoomOut(session),
    a: () => session.listenToNext(),
    h: () => session.switchSound(),
    f: () => session.set("follow", !model.get("follow")),
    s: () => session.switch("spectrogram"),
    p: () => session.switch("peaks"),
    "?": () => session.switch("help"),
    escape: () => (panels.help ? session.switch("help") : session.set("selection", null)),
  };
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // JupyterLab listens on the document and would take arrows and letters for its own commands.
    event.stopPropagation();
    const action = keys[event.key.toLowerCase()];
    const target = event.target instanceof Element ? event.target : root;
    // Fields and sliders need their keys; a button needs only space and Enter.
    if (!action || target.closest("input, select") || (target.closest("button") && event.key === " ")) return;
    event.preventDefault();
    action(event);
    onKey();
  });
}

export function helpPanel({ panels }: Session): Part {
  const list = element("dl", {});
  for (const [key, what] of HELP) list.append(element("dt", {}, key), element("dd", {}, what));
  const root = element(
    "section",
    { class: "aic-help", "aria-label": "Keys", "data-testid": "help-panel" },
    list,
  );
  const update = () => {
    root.hidden = !panels.help;
  };
  return { root, update };
}
