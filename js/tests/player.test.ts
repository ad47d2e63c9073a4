import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Player } from "../src/player";

const RATE = 44_100;
const CHUNK = 5 * RATE;

class Source {
  buffer: { seconds: number } | null = null;
  onended: (() => void) | null = null;
  started: { when: number; offset: number } | null = null;
  stopped = false;
  connect() {}
  start(when: number, offset: number) {
    this.started = { when, offset };
  }
  stop() {
    this.stopped = true;
  }
}

/** An audio clock that the test moves. */
class Context {
  static last: Context;
  currentTime = 100;
  outputLatency = 0;
  destination = {};
  sources: Source[] = [];
  constructor() {
    Context.last = this;
  }
  async resume() {}
  async close() {}
  createBuffer(_: number, length: number, rate: number) {
    return { seconds: length / rate, getChannelData: () => new Float32Array(length) };
  }
  createBufferSource() {
    const made = new Source();
    this.sources.push(made);
    return made;
  }
}

function setup(seconds: number) {
  const asked: number[] = [];
  const player = new Player(
    (first) => asked.push(first / CHUNK),
    () => {},
    seconds,
  );
  const answer = (index: number) => {
    const length = Math.min(CHUNK, Math.round(seconds * RATE) - index * CHUNK);
    player.take(index * CHUNK, new Int16Array(length));
  };
  const after = (elapsed: number) => {
    Context.last.currentTime += elapsed;
    vi.advanceTimersByTime(100);
  };
  return { player, asked, answer, after };
}

describe("player", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("AudioContext", Context);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

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
    const { player, answer } = setup(60);
    await player.play();
    answer(0);
    answer(1);
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
});
