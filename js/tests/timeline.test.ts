import { describe, expect, it } from "vitest";
import { clock, level, nats } from "../src/format";
import { frameAt } from "../src/frames";
import { Timeline } from "../src/timeline";

function opened(duration: number): Timeline {
  const timeline = new Timeline();
  timeline.open(duration);
  return timeline;
}

describe("timeline", () => {
  it("zooms so that what is under the pointer stays there", () => {
    const timeline = opened(100);
    timeline.zoom(4, 40);
    expect(timeline.span).toBeCloseTo(25);
    expect((40 - timeline.start) / timeline.span).toBeCloseTo(0.4);
  });

  it("never shows what is outside the recording", () => {
    const timeline = opened(100);
    timeline.zoom(10, 99);
    timeline.pan(50);
    expect(timeline.end).toBe(100);
    timeline.zoom(1e-9, 50);
    expect([timeline.start, timeline.end]).toEqual([0, 100]);
  });

  it("shows a few frames at the least", () => {
    const timeline = opened(100);
    timeline.zoom(1e9, 50);
    expect(timeline.span).toBeCloseTo(0.3715, 3);
  });

  it("turns the page when the playhead leaves the screen", () => {
    const timeline = opened(100);
    timeline.show(10, 20);
    expect(timeline.follow(15)).toBe(false);
    expect(timeline.follow(20.1)).toBe(true);
    expect(timeline.start).toBeCloseTo(20.1);
    timeline.show(90, 100);
    expect(timeline.follow(100)).toBe(false);
  });
});

describe("numbers", () => {
  it("reads times as a clock", () => {
    expect([clock(0), clock(59.96), clock(61.25), clock(3725, 0)]).toEqual([
      "0:00.0",
      "0:59.9",
      "1:01.2",
      "1:02:05",
    ]);
    expect(clock(0.3 - 1e-12)).toBe("0:00.3");
  });

  it("names levels alike and values with their error", () => {
    expect([level(0), level(0.30000000000000004), level(1)]).toEqual(["0.0", "0.3", "1.0"]);
    expect([nats(41.26, 0.31), nats(41.26, 0), nats(41.26, Number.NaN), nats(Number.NaN, 1)]).toEqual([
      "41.3 ± 0.3",
      "41.3",
      "41.3",
      "–",
    ]);
    expect([2.2, 0.05, 0.096, 0.004, 1e-6].map((stderr) => nats(41.26, stderr))).toEqual([
      "41.3 ± 2.2",
      "41.26 ± 0.05",
      "41.3 ± 0.1",
      "41.260 ± 0.004",
      "41.260 ± 0.000",
    ]);
  });

  it("finds the frame that sounds", () => {
    expect([frameAt(0), frameAt(4095 / 44100), frameAt(4096 / 44100)]).toEqual([0, 0, 1]);
  });
});
