// What a screen reader says: once when a computation begins, once when it is complete, with the result in a sentence.

import type { Part } from "./controls";
import { element } from "./dom";
import { clock, level as levelText } from "./format";
import { FRAME_PERIOD } from "./frames";
import type { Session } from "./session";

export function spoken(session: Session): Part {
  const { model, curves } = session;
  const root = element("p", { class: "aic-spoken", "aria-live": "polite", "data-testid": "spoken" });

  const summary = () =>
    model.get("visible_levels").flatMap((level) => {
      const values = curves.get(level)?.ic ?? [];
      let [count, sum, best] = [0, 0, -1];
      values.forEach((value, frame) => {
        if (Number.isNaN(value)) return;
        count++;
        sum += value;
        if (best < 0 || value > values[best]) best = frame;
      });
      if (!count) return [];
      const mean = (sum / count).toFixed(1);
      const at = clock(best * FRAME_PERIOD);
      return [
        `Noise level ${levelText(level)}: mean ${mean}, highest ${values[best].toFixed(1)} nats at ${at}.`,
      ];
    });

  let said = "";
  const update = () => {
    const status = model.get("status");
    const key = `${status} ${status === "done" ? `${curves.version} ${model.get("visible_levels")}` : ""}`;
    if (key === said) return;
    said = key;
    const words = {
      idle: [],
      running: ["Computing."],
      done: [`Information content of ${model.get("name")} is complete.`, ...summary()],
      cancelled: ["Cancelled."],
      error: [], // an alert says what
    };
    root.textContent = words[status].join(" ");
  };
  return { root, update };
}
