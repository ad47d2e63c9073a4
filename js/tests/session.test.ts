import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { removeLevel } from "../src/controls";
import { fakeSound, realSound } from "./audio";
import { forget, session } from "./model";

const PEAK = { start: 5, nats: 70 };
/** Milliseconds after which a page no longer waits for a kernel. */
const PATIENCE = 5_000;

describe("session", () => {
  beforeEach(() => {
    fakeSound();
    forget();
  });
  afterEach(realSound);

  /** Lets promises and what waits for the end of the turn come to their end. */
  const turn = () => vi.advanceTimersByTimeAsync(1);

  it("falls silent when its last view is gone, unless another comes in the same turn", async () => {
    const [one] = session("", 10);
    const views = [new AbortController(), new AbortController(), new AbortController()];
    one.viewed(views[0].signal);
    one.viewed(views[1].signal);
    one.toggle();
    views[0].abort();
    await turn();
    expect(one.sounding).toBe(true);
    views[1].abort();
    one.viewed(views[2].signal);
    await turn();
    expect(one.sounding).toBe(true);
    views[2].abort();
    await turn();
    expect([one.sounding, one.model.get("playing")]).toEqual([false, false]);
  });

  it("plays one of a group in place of another that sounds", async () => {
    const [a, modelA] = session("g", 10);
    const [b, modelB] = session("g", 10);
    a.toggle();
    await turn();
    expect([a.sounding, modelA.get("playing")]).toEqual([true, true]);
    modelB.set("playing", true as never);
    await turn();
    expect([a.player.state, b.player.state]).toEqual(["stopped", "buffering"]);
    expect([modelA, modelB].map((each) => each.get("playing"))).toEqual([false, true]);
    expect([modelA, modelB].map((each) => each.get("solo"))).toEqual([false, true]);
    modelB.set("playing", false as never);
    expect([a.player.state, b.player.state]).toEqual(["stopped", "stopped"]);
  });

  it("falls silent when another one of its group is the one that sounds", async () => {
    const [a, modelA] = session("g", 10);
    const [b, modelB] = session("", 10);
    b.toggle();
    await turn();
    modelB.set("group", "g" as never);
    expect([modelB.get("solo"), b.player.state]).toEqual([false, "stopped"]);
    // Python may take it from one before it gives it to another.
    a.toggle();
    await turn();
    modelA.set("solo", false as never);
    modelB.set("solo", true as never);
    expect([a.player.state, b.player.state]).toEqual(["stopped", "buffering"]);
  });

  it("does not wait for sound that nobody sends, and goes on saying so", async () => {
    const [lost] = session("", 10);
    const [silent] = session("", 10, { page: { sound: false } });
    const [sounds] = session("", 10, { page: { sound: true } });
    vi.advanceTimersByTime(PATIENCE);
    expect(lost.hint).toMatch(/^No kernel answers/);
    for (const each of [lost, silent, sounds]) {
      const before = each.hint;
      each.toggle();
      each.playPeak(PEAK);
      await turn();
      expect(each.hint).toBe(before);
    }
    expect([lost, silent, sounds].map((each) => each.player.state)).toEqual([
      "stopped",
      "stopped",
      "buffering",
    ]);
  });

  it("takes a level that is removed out of those that are drawn, in one change", () => {
    const [one, model] = session("", 10, { noise_levels: [0, 0.3, 0.6], visible_levels: [0, 0.3] });
    const save = vi.spyOn(model, "save_changes");
    removeLevel(one, 0.3);
    expect([model.get("noise_levels"), model.get("visible_levels")]).toEqual([[0, 0.6], [0]]);
    expect(save).toHaveBeenCalledOnce();
    removeLevel(one, 0);
    expect([model.get("noise_levels"), model.get("visible_levels")]).toEqual([[0.6], [0.6]]);
  });
});
