import { describe, expect, it } from "vitest";
import { type Curve, Curves } from "../src/curves";
import { axisLabel, Shown, scaleOf, smoothed, summary } from "../src/display";
import { FRAME_PERIOD } from "../src/frames";

const gap = Number.NaN;
const curve = (ic: number[], stderr = ic.map(() => 0.5)): Curve => ({
  ic: Float32Array.from(ic),
  stderr: Float32Array.from(stderr),
  states: Uint8Array.from(ic, () => 3),
});

describe("display", () => {
  it("scales to 0..1, to mean 0 and deviation 1, and from the no-knowledge line", () => {
    const values = curve([gap, 2, 4, 6]);
    expect(scaleOf(values, "minmax", undefined)).toEqual({ shift: 2, scale: 4 });
    const { shift, scale } = scaleOf(values, "zscore", undefined);
    expect(shift).toBeCloseTo(4);
    expect(scale).toBeCloseTo(Math.sqrt(8 / 3));
    expect(scaleOf(values, "headroom", { floor: null, noKnowledge: 68.42 })).toEqual({
      shift: 68.42,
      scale: 1,
    });
    expect(scaleOf(curve([5, 5]), "zscore", undefined)).toEqual({ shift: 5, scale: 1 });
  });

  it("smooths by a centred mean that gaps stay out of, and narrows the error as for independent frames", () => {
    const { ic, stderr } = smoothed(curve([1, 2, 6, gap, 4]), 3);
    expect([...ic]).toEqual([1.5, 3, 4, gap, 4]);
    expect(stderr[1]).toBeCloseTo(Math.sqrt(3 * 0.25) / 3);
  });

  it("means over as many frames as it says, of an even width too", () => {
    const { ic, stderr } = smoothed(curve([0, 1, 2, 3, 9, 5, 6]), 4);
    expect(ic[3]).toBe((1 + 2 + 3 + 9) / 4);
    expect(stderr[3]).toBeCloseTo(Math.sqrt(4 * 0.25) / 4);
    expect([...smoothed(curve([1, 2, 6]), 2).ic]).toEqual([1, 1.5, 4]);
  });

  it("says on the axis what was done", () => {
    expect(axisLabel({ unit: "nats", smoothing: 1 })).toBe("nats");
    expect(axisLabel({ unit: "zscore", smoothing: 5 })).toBe("z-score · 0.5 s mean");
  });

  it("makes a curve anew when values come, not before", () => {
    const curves = new Curves();
    const restart = {
      type: "restart",
      revision: 1,
      levels: [0.3],
      n_frames: 2,
      floor: [1],
      no_knowledge: [10],
    } as const;
    curves.restart({ ...restart, levels: [0.3], floor: [1], no_knowledge: [10] });
    const shown = new Shown(curves);
    const view = { unit: "headroom", smoothing: 1 } as const;
    const before = shown.get(0.3, view);
    expect(shown.get(0.3, view)).toBe(before);
    const bytes = (values: Float32Array | Uint8Array) => new DataView(values.slice().buffer);
    const message = { type: "curves", revision: 1, levels: [0.3], first: 0, count: 2 } as const;
    curves.put({ ...message, levels: [0.3] }, [
      bytes(Float32Array.of(4, 12)),
      bytes(Float32Array.of(1, 1)),
      bytes(Uint8Array.of(3, 3)),
    ]);
    expect([...(shown.get(0.3, view)?.ic ?? [])]).toEqual([-6, 2]);
  });

  it("sums up the frames that a selection touches", () => {
    const values = curve([1, 2, 9, gap, 4]);
    expect(summary(values, 0, 2 * FRAME_PERIOD)).toEqual({ mean: 1.5, max: 2 });
    expect(summary(values, 1.5 * FRAME_PERIOD, 2.5 * FRAME_PERIOD)).toEqual({ mean: 5.5, max: 9 });
    expect(summary(values, 3.1 * FRAME_PERIOD, 3.2 * FRAME_PERIOD)).toBeNull();
  });
});
