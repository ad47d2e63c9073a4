import type { AnyModel } from "@anywidget/types";
import type { Traits } from "../src/messages";
import { Session } from "../src/session";

/** A model as the notebook has it: setting tells those who listen. */
export class Model {
  private listeners = new Map<string, Set<() => void>>();
  saved: [string, unknown][] = [];
  private dirty = new Set<string>();
  constructor(readonly traits: Partial<Traits>) {}
  get(name: keyof Traits) {
    return this.traits[name];
  }
  set(name: keyof Traits, value: never) {
    if (JSON.stringify(this.traits[name]) === JSON.stringify(value)) return;
    this.traits[name] = value;
    this.dirty.add(name);
    for (const event of [`change:${name}`, "change"])
      for (const listener of this.listeners.get(event) ?? []) listener();
  }
  on(name: string, listener: () => void) {
    this.listeners.set(name, (this.listeners.get(name) ?? new Set()).add(listener));
  }
  off(name: string, listener: () => void) {
    this.listeners.get(name)?.delete(listener);
  }
  save_changes() {
    for (const name of this.dirty) this.saved.push([name, this.traits[name as keyof Traits]]);
    this.dirty.clear();
  }
  send() {}
}

/** A session and its model; no kernel answers it. */
export function session(group: string, duration: number, traits: Partial<Traits> = {}): [Session, Model] {
  const model = new Model({
    group,
    duration,
    n_frames: Math.floor(duration * 10.77),
    overview: new DataView(new Int16Array([-5, 5]).buffer),
    bin_samples: [duration * 44_100],
    solo: true,
    view: null,
    selection: null,
    visible_levels: [0.3],
    current_time: 0,
    playing: false,
    loop: false,
    speed: 1,
    decodes: true,
    heard_level: null,
    volume: 1,
    unit: "nats",
    saved: {},
    status: "done",
    ...traits,
  });
  return [new Session(model as unknown as AnyModel<Traits>, new AbortController().signal), model];
}

/** Makes the page forget all sessions there were. */
export function forget(): void {
  (globalThis as { audioicSessions?: unknown }).audioicSessions = undefined;
}
