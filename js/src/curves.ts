// The traces as they are drawn: the twin of audioic_widget/widget/curves.py.

import { type Answer, float32, uint8 } from "./messages";

export const STALE = 1;
export const DRAFT = 2;
export const FINAL = 3;
export const BELOW_FLOOR = 8;

const STAGE = 7;

/** Values and standard errors (nats) of one noise level for every frame, and how far each is final. */
export interface Curve {
  ic: Float32Array;
  stderr: Float32Array;
  states: Uint8Array;
}

export function stage(state: number): number {
  return state & STAGE;
}

function empty(frames: number): Curve {
  return {
    ic: new Float32Array(frames).fill(Number.NaN),
    stderr: new Float32Array(frames).fill(Number.NaN),
    states: new Uint8Array(frames),
  };
}

/** Closed-form values in nats to read a level against. */
export interface Lines {
  floor: number | null;
  noKnowledge: number;
}

export class Curves {
  revision = 0;
  /** Grows with every change of any value. */
  version = 0;
  frames = 0;
  levels: number[] = [];
  private byLevel = new Map<number, Curve>();
  private lines = new Map<number, Lines>();

  line(level: number): Lines | undefined {
    return this.lines.get(level);
  }

  get(level: number): Curve | undefined {
    return this.byLevel.get(level);
  }

  /** A computation begins: what is known of the same levels stays, as out of date. */
  restart(message: Extract<Answer, { type: "restart" }>): void {
    if (message.revision < this.revision) return;
    const old = this.frames === message.n_frames ? this.byLevel : new Map<number, Curve>();
    this.revision = message.revision;
    this.version++;
    this.lines = new Map(
      message.levels.map((level, row) => [
        level,
        { floor: message.floor[row], noKnowledge: message.no_knowledge[row] },
      ]),
    );
    this.frames = message.n_frames;
    this.levels = message.levels;
    this.byLevel = new Map(message.levels.map((level) => [level, old.get(level) ?? empty(this.frames)]));
    for (const { states } of this.byLevel.values()) {
      for (let k = 0; k < states.length; k++) if (states[k]) states[k] = (states[k] & BELOW_FLOOR) | STALE;
    }
  }

  /** Takes in values; those of an older computation are dropped. */
  put(message: Extract<Answer, { type: "curves" }>, buffers: DataView[]): void {
    if (message.revision < this.revision) return;
    this.version++;
    const { first, count } = message;
    const [ic, stderr] = [float32(buffers[0]), float32(buffers[1])];
    const states = uint8(buffers[2]);
    message.levels.forEach((level, row) => {
      const curve = this.byLevel.get(level);
      if (!curve) return;
      const span = [row * count, (row + 1) * count] as const;
      curve.ic.set(ic.subarray(...span), first);
      curve.stderr.set(stderr.subarray(...span), first);
      curve.states.set(states.subarray(...span), first);
    });
  }
}
