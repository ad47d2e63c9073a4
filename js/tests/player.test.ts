import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Player } from "../src/player";
import { Broken, Context, fakeSound, realSound, Silent } from "./audio";

const RATE = 44_100;
const CHUNK = 5 * RATE;

function setup(seconds: number) {
  const asked: number[] = [];
  const askedFor: (number | null)[] = [];
  const player = new Player(
    (heard, first) => {
      asked.push(first / CHUNK);
      askedFor.push(heard);
    },
    () => {},
    () => {},
    seconds,
  );
  const answer = (index: number, heard: number | null = null) => {
    const length = Math.min(CHUNK + 1, Math.round(seconds * RATE) - index * CHUNK);
    player.take(heard, index * CHUNK, new Int16Array(length));
  };
  const after = (elapsed: number) => {
    Context.last.currentTime += elapsed;
    vi.advanceTimersByTime(100);
  };
  return { player, asked, askedFor, answer, after };
}

describe("player", () => {
  beforeEach(fakeSound);
  afterEach(realSound);

  it("moves with the audio clock once there is sound, not before", async () => {
    const { player, asked, answer, after } = setup(60);
    await player.play();
    expect(player.state).toBe("buffering");
    after(3);
    expect(player.position).toBe(0);
    expect(asked).toEqual([0, 1]);
    answer(0);
    expect(player.state).toBe("playing");
    after(2);
    expect(player.position).toBeCloseTo(2, 1);
  });

  it("lets chunks follow each other without gap or overlap", async () => {
    const { player, answer, after } = setup(60);
    await player.play();
    answer(0);
    answer(1);
    after(4);
    const [first, second] = Context.last.sources;
    expect((second.started?.when ?? 0) - (first.started?.when ?? 0)).toBeCloseTo(5, 9);
    player.close();
  });

  it("starts inside a chunk at the sample that was sought", async () => {
    const { player, answer } = setup(60);
    player.seek(7.5);
    await player.play();
    answer(1);
    expect(Context.last.sources[0].started?.offset).toBeCloseTo(2.5, 9);
    expect(player.position).toBeCloseTo(7.5, 9);
    player.close();
  });

  it("stands still when the kernel is too slow, and goes on where it stood", async () => {
    const { player, answer, after } = setup(60);
    await player.play();
    answer(0);
    after(5.2);
    expect(player.state).toBe("buffering");
    expect(player.position).toBe(5);
    after(3);
    answer(1);
    expect(player.state).toBe("playing");
    after(1);
    expect(player.position).toBeCloseTo(6, 1);
    player.close();
  });

  it("stops at the end and starts again from the beginning", async () => {
    const { player, answer, after } = setup(4);
    await player.play();
    answer(0);
    after(4.2);
    expect(player.state).toBe("stopped");
    expect(player.position).toBe(4);
    await player.play();
    expect(player.state).toBe("playing");
    expect(player.position).toBe(0);
    player.close();
  });

  it("stops at the end when it is sent there while it plays", async () => {
    const { player, answer } = setup(60);
    await player.play();
    answer(0);
    player.seek(60);
    expect([player.state, player.position]).toEqual(["stopped", 60]);
    expect(vi.getTimerCount()).toBe(1); // The browser's time to allow sound, and nothing that pumps.
  });

  it("goes to the loop from the end where that lies behind the playhead", async () => {
    const { player, answer, after } = setup(9);
    player.seek(8);
    await player.play();
    answer(0);
    answer(1);
    after(0.5);
    player.set([2, 4], 1);
    for (let k = 0; k < 20; k++) after(0.1);
    expect(player.state).toBe("playing");
    expect(player.position).toBeGreaterThan(2);
    expect(player.position).toBeLessThan(4);
    player.close();
  });

  it("does not begin in the past with what comes while the last sound is on its way to the ear", async () => {
    const { player, answer, after } = setup(60);
    await player.play();
    Context.last.outputLatency = 0.5;
    answer(0);
    after(5.2);
    expect(player.state).toBe("playing");
    answer(1);
    expect(Context.last.sources[1].started?.when).toBeCloseTo(Context.last.currentTime + 0.03, 9);
    player.close();
  });

  it("lets the clock stand while nothing sounds", async () => {
    const { player, answer, after } = setup(4);
    await player.play();
    answer(0);
    const context = Context.last;
    player.pause();
    expect(context.state).toBe("suspended");
    await player.play();
    expect([context.state, player.state]).toEqual(["running", "playing"]);
    after(4.2);
    expect([context.state, player.state]).toEqual(["suspended", "stopped"]);
  });

  it("silences what was scheduled when it pauses, and remembers where", async () => {
    const { player, answer, after } = setup(60);
    await player.play();
    answer(0);
    after(2.03);
    player.pause();
    expect(Context.last.sources.every((source) => source.stopped)).toBe(true);
    expect(player.position).toBeCloseTo(2, 5);
    after(3);
    expect(player.position).toBeCloseTo(2, 5);
  });

  it("asks again for what was never answered", async () => {
    const { player, asked, after } = setup(4);
    await player.play();
    after(1);
    expect(asked).toEqual([0]);
    vi.advanceTimersByTime(10_100);
    expect(asked).toEqual([0, 0]);
    player.close();
  });

  /** What sounds, as spans of the recording in the order of the clock, and the times they begin. */
  const heard = () =>
    Context.last.sources
      .filter((source) => source.started && source.started.length > 0)
      .map(({ started }) => started ?? { when: 0, offset: 0, length: 0 });

  it("repeats the selection without a gap, across chunks, and the position goes round", async () => {
    const { player, answer, after } = setup(60);
    player.set([4, 6], 1);
    await player.play();
    answer(0);
    answer(1);
    const start = Context.last.currentTime + 0.03;
    for (let k = 0; k < 50; k++) after(0.1);
    const spans = heard();
    expect(spans.slice(0, 4).map(({ offset, length }) => [offset, length])).toEqual([
      [4, 1],
      [0, 1],
      [4, 1],
      [0, 1],
    ]);
    spans.slice(1).forEach(({ when }, k) => {
      expect(when).toBeCloseTo(spans[k].when + spans[k].length, 9);
    });
    expect(player.position).toBeCloseTo(4 + ((Context.last.currentTime - start) % 2), 6);
    player.close();
  });

  it("keeps the position right at half and double speed, and when the speed changes", async () => {
    const { player, answer, after } = setup(60);
    player.set(null, 0.5);
    await player.play();
    answer(0);
    answer(1);
    after(4.03);
    expect(player.position).toBeCloseTo(2, 6);
    expect(Context.last.sources[0].playbackRate.value).toBe(0.5);
    player.set(null, 2);
    expect(player.position).toBeCloseTo(2, 4);
    after(1.03);
    expect(player.position).toBeCloseTo(4, 4);
    const [first, second] = heard().slice(-2);
    expect(second.when - first.when).toBeCloseTo(first.length / 2, 6);
    player.close();
  });

  it("clicks when a peak sounds, at any speed", async () => {
    const { player, answer } = setup(4);
    player.set(null, 2, [1, 3]);
    await player.play();
    answer(0);
    const begin = heard()[0].when;
    const clicks = Context.last.sources.filter((source) => source.started?.length === 0);
    expect(clicks.map((source) => (source.started?.when ?? 0) - begin)).toEqual([
      expect.closeTo(0.5, 6),
      expect.closeTo(1.5, 6),
    ]);
    expect(clicks[0].playbackRate.value).toBe(1);
    player.close();
  });

  it.each([Silent, Broken])("says so when the browser does not let sound begin: %o", async (context) => {
    vi.stubGlobal("AudioContext", context);
    const refused = vi.fn();
    const player = new Player(
      () => {},
      () => {},
      refused,
      10,
    );
    const playing = player.play();
    await vi.advanceTimersByTimeAsync(1_100);
    await playing;
    expect(player.state).toBe("stopped");
    expect(refused).toHaveBeenCalledOnce();
  });

  it("begins once, and not before it may, however often it is sent elsewhere meanwhile", async () => {
    const allow: (() => void)[] = [];
    class Asking extends Context {
      override resume() {
        return new Promise<void>((resolve) => allow.push(resolve));
      }
    }
    vi.stubGlobal("AudioContext", Asking);
    const { player, asked, answer } = setup(60);
    void player.play();
    player.pause();
    void player.play();
    player.seek(7);
    answer(1);
    expect([player.state, player.position, asked]).toEqual(["buffering", 7, []]);
    for (const each of allow) each();
    await vi.advanceTimersByTimeAsync(0);
    expect([player.state, player.position, asked]).toEqual(["playing", 7, [2]]);
    player.pause();
    // Two questions of a second each, and nothing that pumps.
    expect(vi.getTimerCount()).toBe(2);
  });

  it("stays where it was sent when the browser does not let sound begin", async () => {
    vi.stubGlobal("AudioContext", Silent);
    const refused = vi.fn();
    const player = new Player(
      () => {},
      () => {},
      refused,
      60,
    );
    const playing = player.play();
    player.seek(7);
    await vi.advanceTimersByTimeAsync(1_100);
    await playing;
    expect([player.state, player.position]).toEqual(["stopped", 7]);
    expect(refused).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("goes over to what is left at a level when that is there, and goes on sounding until then", async () => {
    const { player, askedFor, answer, after } = setup(60);
    await player.play();
    answer(0);
    answer(1);
    after(3);
    player.hear(0.3);
    expect(askedFor.at(-1)).toBe(0.3);
    expect([player.turning, player.state]).toEqual([true, "playing"]);
    after(0.5);
    const before = Context.last.sources.length;
    expect(player.position).toBeCloseTo(3.47, 2);
    answer(0, 0.3);
    expect([player.turning, player.state]).toEqual([false, "playing"]);
    expect(Context.last.sources.slice(0, before).every((source) => source.stopped)).toBe(true);
    const { when = 0, offset = 0 } = Context.last.sources[before].started ?? {};
    expect(offset).toBeCloseTo(3.47, 2);
    expect(when - Context.last.currentTime).toBeCloseTo(0.03, 9);
    // Back at once: that sound is still here.
    player.hear(null);
    expect([player.turning, player.state]).toEqual([false, "playing"]);
    player.close();
  });

  it("waits for the next chunk too where this one is nearly over", async () => {
    const { player, answer, after } = setup(60);
    await player.play();
    answer(0);
    answer(1);
    after(4.5);
    player.hear(0.6);
    answer(0, 0.6);
    expect(player.turning).toBe(true);
    answer(1, 0.6);
    expect(player.turning).toBe(false);
    player.close();
  });

  it("has another sound from the first moment on while it stands still", async () => {
    const { player, askedFor, answer } = setup(60);
    player.hear(0.3);
    expect(player.turning).toBe(false);
    await player.play();
    expect(new Set(askedFor)).toEqual(new Set([0.3]));
    answer(0);
    expect(player.state).toBe("buffering");
    answer(0, 0.3);
    expect(player.state).toBe("playing");
    player.close();
  });
});
