import { describe, expect, it } from "vitest";
import { BELOW_FLOOR, type Curve, DRAFT, FINAL } from "../src/curves";
import { points } from "../src/decimate";
import { FRAME_PERIOD } from "../src/frames";

function curve(values: number[], states?: number[]): Curve {
  return {
    ic: Float32Array.from(values),
    stderr: Float32Array.from(values, () => 1),
    states: Uint8Array.from(states ?? values.map((value) => (Number.isNaN(value) ? 0 : FINAL))),
  };
}

describe("points", () => {
  it("draws a value over the whole span of its frame, and NaN as a gap", () => {
    const { x, settled } = points(curve([Number.NaN, 5, 7]), 0, 3 * FRAME_PERIOD - 1e-9, 100);
    expect(settled).toEqual([null, null, 5, 5, 7, 7]);
    expect(x.map((at) => Math.round(at / FRAME_PERIOD))).toEqual([0, 1, 1, 2, 2, 3]);
  });

  it("keeps drafts apart from final values and flags what is below the floor", () => {
    const { settled, pending, flagged } = points(curve([1, 2], [DRAFT, FINAL | BELOW_FLOOR]), 0, 1, 100);
    expect(pending).toEqual([1, 1, null, null]);
    expect(settled).toEqual([null, null, 2, 2]);
    expect(flagged).toEqual([null, null, 2, 2]);
  });

  it("draws a band of one standard error where that is known", () => {
    const known = curve([4]);
    expect(points(known, 0, 1, 100)).toMatchObject({ high: [5, 5], low: [3, 3] });
    known.stderr[0] = Number.NaN;
    expect(points(known, 0, 1, 100)).toMatchObject({ high: [null, null], low: [null, null] });
  });

  it("gives at most two points a pixel, in order, and loses no peak", () => {
    const values = Array.from({ length: 40_000 }, (_, k) => Math.sin(k / 50));
    values[12_345] = 99;
    values[23_456] = -99;
    const { x, settled } = points(curve(values), 0, values.length * FRAME_PERIOD, 800);
    expect(x.length).toBeLessThanOrEqual(1602);
    expect(settled).toContain(99);
    expect(settled).toContain(-99);
    expect(x.every((at, i) => i === 0 || at >= x[i - 1])).toBe(true);
  });

  it("skips gaps among the frames of a pixel, and shows a gap where all are", () => {
    const values = Array.from({ length: 1000 }, (_, k) => (k < 500 || k % 10 ? Number.NaN : 3));
    const { settled } = points(curve(values), 0, values.length * FRAME_PERIOD, 50);
    expect(settled.slice(0, 20).every((value) => value === null)).toBe(true);
    expect(settled.slice(-20).every((value) => value === 3)).toBe(true);
  });
});
