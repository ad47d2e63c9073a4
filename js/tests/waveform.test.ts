import { describe, expect, it } from "vitest";
import type { Request } from "../src/messages";
import { Waveform } from "../src/waveform";

const view = (values: Int16Array) => new DataView(values.buffer);

describe("waveform", () => {
  it("takes a column's lowest and highest sample from the bins it covers", () => {
    const bins = Int16Array.from([-1, 1, -5, 2, -3, 9, -2, 4]);
    const waveform = new Waveform([256], bins, () => {});
    const columns = waveform.columns(0, (4 * 256) / 44_100, 2);
    expect([...columns]).toEqual([-5, 2, -3, 9]);
  });

  it("is empty where the recording is not", () => {
    const waveform = new Waveform([256], Int16Array.from([-1, 1]), () => {});
    const [low, high] = waveform.columns(1, 2, 1);
    expect(low).toBeGreaterThan(high);
  });

  it("asks once for finer bins and shows the overview until they are there", () => {
    const asked: Request[] = [];
    const waveform = new Waveform([256, 1024], Int16Array.from([-100, 100]), (request) =>
      asked.push(request),
    );
    const span = 1024 / 44_100;
    expect([...waveform.columns(0, span, 4)]).toEqual([-100, 100, -100, 100, -100, 100, -100, 100]);
    waveform.columns(0, span, 4);
    expect(asked).toEqual([{ type: "waveform", level: 0, first: 0, count: 65_536 }]);
    const fine = Int16Array.from([-1, 1, -2, 2, -3, 3, -100, 100]);
    waveform.take({ type: "waveform", level: 0, first: 0, count: 4 }, view(fine));
    expect([...waveform.columns(0, span, 4)]).toEqual([...fine]);
  });
});
