// The most surprising moments of a finished result, of one noise level: asked for once, listed, each to be heard.

import type { Part } from "./controls";
import { button, element } from "./dom";
import { clock, level as levelText } from "./format";
import { FRAME_PERIOD } from "./frames";
import type { Answer, Request } from "./messages";
import type { Session } from "./session";

/** Peaks listed. */
const COUNT = 10;

export interface Peak {
  /** Begin of its frame, in seconds. */
  start: number;
  nats: number;
}

export class Peaks {
  found: Peak[] = [];
  /** Noise level of those found. */
  level = Number.NaN;
  private asked = "";

  constructor(private readonly ask: (request: Request) => void) {}

  /** Asks for those of a level of the result `revision`, unless that was done. */
  want(level: number | undefined, revision: number): void {
    const key = `${revision} ${level}`;
    if (key === this.asked) return;
    this.asked = key;
    if (level === undefined) this.found = [];
    else this.ask({ type: "peaks", noise_level: level, count: COUNT });
  }

  take(message: Extract<Answer, { type: "peaks" }>): void {
    this.level = message.noise_level;
    this.found = message.times.map((end, row) => ({
      start: Math.max(end - FRAME_PERIOD, 0),
      nats: message.values[row],
    }));
  }
}

/** Why there is no list. */
function reason({ model, kernel, peaks }: Session): string {
  if (kernel.missing) return "Peaks come from the kernel, and none answers";
  if (model.get("visible_levels").length === 0) return "Show a noise level to see its peaks";
  const status = model.get("status");
  if (status === "running") return "Peaks are listed when the result is complete";
  if (status !== "done") return "There is no complete result to list peaks of: compute again";
  return Number.isNaN(peaks.level) ? "Looking for peaks" : "There are no peaks in this result";
}

export function peakPanel(session: Session): Part {
  const { panels, peaks } = session;
  const title = element("span", {});
  const list = element("ol", { "aria-label": "The most surprising moments" });
  const clicks = element("input", { type: "checkbox", "data-testid": "clicks" });
  clicks.addEventListener("change", () => session.switch("clicks"));
  const heading = element(
    "div",
    { class: "aic-peaks-title" },
    title,
    element("label", { title: "A soft click at every peak while it plays" }, clicks, " click while playing"),
  );
  const root = element("section", { class: "aic-peaks", "data-testid": "peak-list" }, heading, list);
  let shown: Peak[] | null = null;
  const update = () => {
    root.hidden = !panels.peaks;
    clicks.checked = panels.clicks;
    title.textContent = peaks.found.length
      ? `Most surprising at noise level ${levelText(peaks.level)}, nats`
      : reason(session);
    list.hidden = peaks.found.length === 0;
    if (shown === peaks.found) return;
    shown = peaks.found;
    list.replaceChildren(
      ...shown.map((peak, rank) => {
        const at = clock(peak.start);
        const label = `Play from a second before ${at}`;
        const play = button(`peak-${rank}`, "", label, () => session.playPeak(peak));
        play.append(element("b", {}, at), ` ${peak.nats.toFixed(1)}`);
        play.setAttribute("aria-label", `Peak ${rank + 1}: ${peak.nats.toFixed(1)} nats at ${at}. ${label}`);
        return element("li", {}, play);
      }),
    );
  };
  return { root, update };
}
