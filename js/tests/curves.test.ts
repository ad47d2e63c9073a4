import { describe, expect, it } from "vitest";
import { BELOW_FLOOR, Curves, DRAFT, FINAL, STALE, stage } from "../src/curves";

/** A view on `values` that starts inside a larger buffer, as buffers of messages do. */
function inside(values: Float32Array | Uint8Array): DataView {
  const source = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const larger = new Uint8Array(source.length + 3);
  larger.set(source, 3);
  return new DataView(larger.buffer, 3, source.length);
}

const restart = (revision: number, levels: number[], n_frames = 4) =>
  ({
    type: "restart",
    revision,
    levels,
    n_frames,
    floor: levels.map(() => null),
    no_knowledge: levels,
  }) as const;

function put(
  curves: Curves,
  revision: number,
  levels: number[],
  first: number,
  rows: number[][],
  state: number,
) {
  const count = rows[0].length;
  const flat = Float32Array.from(rows.flat());
  curves.put({ type: "curves", revision, levels, first, count }, [
    inside(flat),
    inside(flat.map(() => 0.5)),
    inside(Uint8Array.from(flat, () => state)),
  ]);
}

describe("curves", () => {
  it("puts values of every level where their frames are, from buffers at odd offsets", () => {
    const curves = new Curves();
    curves.restart(restart(1, [0.3, 0.6]));
    put(
      curves,
      1,
      [0.3, 0.6],
      1,
      [
        [10, 11],
        [20, 21],
      ],
      FINAL,
    );
    expect([...(curves.get(0.3)?.ic ?? [])]).toEqual([Number.NaN, 10, 11, Number.NaN]);
    expect([...(curves.get(0.6)?.ic ?? [])]).toEqual([Number.NaN, 20, 21, Number.NaN]);
    expect([...(curves.get(0.6)?.states ?? [])]).toEqual([0, FINAL, FINAL, 0]);
    expect(curves.get(0.6)?.stderr[1]).toBe(0.5);
  });

  it("takes messages of some of its levels", () => {
    const curves = new Curves();
    curves.restart(restart(1, [0.3, 0.6]));
    put(curves, 1, [0.6], 0, [[7]], DRAFT);
    expect(curves.get(0.6)?.ic[0]).toBe(7);
    expect(curves.get(0.3)?.ic[0]).toBeNaN();
  });

  it("drops what an older computation still sends", () => {
    const curves = new Curves();
    curves.restart(restart(2, [0.3]));
    put(curves, 1, [0.3], 0, [[99]], FINAL);
    curves.restart(restart(1, [0.9]));
    expect(curves.get(0.3)?.ic[0]).toBeNaN();
    expect(curves.levels).toEqual([0.3]);
  });

  it("keeps known levels as out of date when a new computation begins, and forgets the others", () => {
    const curves = new Curves();
    curves.restart(restart(1, [0.3, 0.6]));
    put(curves, 1, [0.3, 0.6], 0, [[1], [2]], FINAL | BELOW_FLOOR);
    curves.restart(restart(2, [0.6, 0.9]));
    expect(curves.get(0.3)).toBeUndefined();
    expect(curves.get(0.6)?.ic[0]).toBe(2);
    expect(curves.get(0.6)?.states[0]).toBe(STALE | BELOW_FLOOR);
    expect(stage(curves.get(0.6)?.states[1] ?? -1)).toBe(0);
    expect(curves.get(0.9)?.ic[0]).toBeNaN();
  });

  it("draws what was saved until a kernel says more", () => {
    const curves = new Curves();
    const saved = {
      levels: [0.3],
      no_knowledge: [68],
      n_frames: 5,
      group: 2,
      low: [10],
      step: [0.5],
      error_step: [0.1],
      values: inside(new Uint8Array(Int16Array.of(0, 4, -2, 6, -32_768, -32_768).buffer)),
      errors: inside(Uint8Array.of(1, 255, 3, 4, 255, 255)),
    };
    curves.load(saved);
    const curve = curves.get(0.3);
    expect([...(curve?.ic ?? [])]).toEqual([10, 12, 9, 13, Number.NaN]);
    expect(curve?.stderr[0]).toBeCloseTo(0.1);
    expect(curve?.stderr[1]).toBeNaN();
    expect([...(curve?.states ?? [])]).toEqual([FINAL, FINAL, FINAL, FINAL, 0]);
    curves.restart(restart(1, [0.3], 5));
    expect(curves.get(0.3)?.states[0]).toBe(STALE);
    curves.load(saved);
    expect(curves.get(0.3)?.states[0]).toBe(STALE);
  });
});
