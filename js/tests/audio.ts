import { vi } from "vitest";

export class Source {
  buffer: { seconds: number } | null = null;
  onended: (() => void) | null = null;
  started: { when: number; offset: number; length: number } | null = null;
  stopped = false;
  playbackRate = { value: 1 };
  connect() {}
  start(when: number, offset = 0, length = 0) {
    this.started = { when, offset, length };
  }
  stop() {
    this.stopped = true;
  }
}

/** An audio clock that the test moves; it runs from `resume` to `suspend`. */
export class Context {
  static last: Context;
  currentTime = 100;
  outputLatency = 0;
  state = "suspended";
  destination = {};
  sources: Source[] = [];
  constructor() {
    Context.last = this;
  }
  async resume() {
    this.state = "running";
  }
  async suspend() {
    this.state = "suspended";
  }
  async close() {}
  createBuffer(_: number, length: number, rate: number) {
    return { seconds: length / rate, getChannelData: () => new Float32Array(length) };
  }
  createGain() {
    return { gain: { value: 1 }, connect() {} };
  }
  createBufferSource() {
    const made = new Source();
    this.sources.push(made);
    return made;
  }
}

/** A browser that has not said whether sound may begin. */
export class Silent extends Context {
  override resume() {
    return new Promise<void>(() => {});
  }
}

/** A computer without a sound card. */
export class Broken extends Context {
  override async resume() {
    throw new DOMException("no device", "InvalidStateError");
  }
}

/** A page with fake timers and a fake audio clock, until `vi.unstubAllGlobals` and `vi.useRealTimers`. */
export function fakeSound(): void {
  vi.useFakeTimers();
  vi.stubGlobal("AudioContext", Context);
}

export function realSound(): void {
  vi.useRealTimers();
  vi.unstubAllGlobals();
}
