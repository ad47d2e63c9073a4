import { describe, expect, it } from "vitest";
import { BELOW_FLOOR, type Curve, DRAFT, FINAL } from "../src/curves";
import { steps } from "../src/decimate";
import { FRAME_PERIOD } from "../src/frames";

function curve(values: number[], states?: number[]): Curve {
  return {
    ic: Float32Array.from(values),
    stderr: Float32Array.from(values, () => 1),
    states: Uint8Array.from(states ?? values.map((value) => (Number.isNaN(value) ? 0 : FINAL))),
  };
}

describe("steps", () => {
  it("draws a value over the whole span of its frame, and leaves out NaN", () => {
    const found = steps(curve([Number.NaN, 5, 7]), 0, 3 * FRAME_PERIOD - 1e-9, 100);
    expect(found.map(({ low, high }) => [low, high])).toEqual([
      [5, 5],
      [7, 7],
    ]);
    expect(found.map(({ from, to }) => [from, to].map((at) => Math.round(at / FRAME_PERIOD)))).toEqual([
      [1, 2],
      [2, 3],
    ]);
  });

  it("keeps drafts apart from final values and flags what is below the floor", () => {
    const found = steps(curve([1, 2], [DRAFT, FINAL | BELOW_FLOOR]), 0, 1, 100);
    expect(found.map(({ settled, flagged }) => [settled, flagged])).toEqual([
      [false, false],
      [true, true],
    ]);
  });

  it("draws a band of one standard error where that is known", () => {
    const known = curve([4]);
    expect(steps(known, 0, 1, 100)).toMatchObject([{ bandHigh: 5, bandLow: 3 }]);
    known.stderr[0] = Number.NaN;
    expect(steps(known, 0, 1, 100)).toMatchObject([{ bandHigh: Number.NaN, bandLow: Number.NaN }]);
  });

  it("gives at most one step a pixel, in order, and loses no peak", () => {
    const values = Array.from({ length: 40_000 }, (_, k) => Math.sin(k / 50));
    values[12_345] = 99;
    values[23_456] = -99;
    const found = steps(curve(values), 0, values.length * FRAME_PERIOD, 800);
    expect(found.length).toBeLessThanOrEqual(801);
    expect(Math.max(...found.map((step) => step.high))).toBe(99);
    expect(Math.min(...found.map((step) => step.low))).toBe(-99);
    expect(found.every((step, i) => i === 0 || step.from >= found[i - 1].to - 1e-9)).toBe(true);
  });

  it("is cut the same way wherever the view begins", () => {
    const values = curve(Array.from({ length: 5_000 }, (_, k) => Math.sin(k / 7)));
    const span = 3_000 * FRAME_PERIOD;
    const here = steps(values, 0, span, 500);
    const there = steps(values, 10, 10 + span, 500);
    expect(there.find((step) => step.from === here[100].from)).toEqual(here[100]);
  });

  it("skips gaps among the frames of a pixel, and shows a gap where all are", () => {
    const values = Array.from({ length: 1000 }, (_, k) => (k < 500 || k % 10 ? Number.NaN : 3));
    const found = steps(curve(values), 0, values.length * FRAME_PERIOD, 50);
    expect(found[0].from).toBeGreaterThanOrEqual(479 * FRAME_PERIOD);
    expect(found.every(({ low, high }) => low === 3 && high === 3)).toBe(true);
  });
});
