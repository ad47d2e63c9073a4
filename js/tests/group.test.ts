import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { forget, session } from "./model";

describe("group", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    forget();
  });
  afterEach(() => vi.useRealTimers());

  it("has one axis as long as the longest recording, and one span on screen, at once", () => {
    const [a, modelA] = session("g", 10);
    const [b, modelB] = session("g", 20);
    const [alone] = session("", 10);
    expect([a.timeline.end, b.timeline.end, alone.timeline.end]).toEqual([20, 20, 10]);
    a.timeline.show(2, 4);
    a.moved();
    expect([b.timeline.start, b.timeline.end, alone.timeline.end]).toEqual([2, 4, 10]);
    vi.runOnlyPendingTimers();
    vi.runOnlyPendingTimers();
    expect([modelA.get("view"), modelB.get("view")]).toEqual([
      [2, 4],
      [2, 4],
    ]);
    expect(modelB.saved).toContainEqual(["view", [2, 4]]);
  });

  it("shares what is shown and heard, and keeps what is computed apart", () => {
    const [, modelA] = session("g", 10);
    const [, modelB] = session("g", 10);
    modelA.set("selection", [1, 2] as never);
    modelB.set("speed", 0.5 as never);
    modelA.set("n_steps", 7 as never);
    expect(modelB.get("selection")).toEqual([1, 2]);
    expect(modelA.get("speed")).toBe(0.5);
    expect(modelB.get("n_steps")).toBeUndefined();
  });

  it("has one that sounds, and another takes over at the same moment", () => {
    const [a, modelA] = session("g", 10);
    const [b, modelB] = session("g", 20);
    expect([modelA.get("solo"), modelB.get("solo")]).toEqual([true, false]);
    b.seek(4);
    expect([a.position, b.position]).toEqual([4, 4]);
    expect([modelA.get("current_time"), modelB.get("current_time")]).toEqual([4, 4]);
    b.listen();
    expect([modelA.get("solo"), modelB.get("solo")]).toEqual([false, true]);
    expect([a.voice, b.voice, a.position]).toEqual([b, b, 4]);
    a.listenToNext();
    expect(b.voice).toBe(a);
    // Where the shorter one has ended, the longer one goes on.
    b.seek(15);
    expect([b.voice, a.position]).toEqual([b, 15]);
  });

  it("lets a widget in that was alone, and out again", () => {
    const [a, modelA] = session("g", 10);
    const [b, modelB] = session("", 30);
    modelA.set("unit", "zscore" as never);
    modelB.set("group", "g" as never);
    expect([a.timeline.end, a.together.length]).toEqual([30, 2]);
    expect(modelB.get("unit")).toBe("zscore");
    modelB.set("group", "" as never);
    expect([a.together.length, b.together.length, a.timeline.end]).toEqual([1, 1, 10]);
  });
});
