// The traces as they are drawn: the twin of audioic_widget/widget/curves.py.

import { type Answer, float32, int16, type Saved, uint8 } from "./messages";

export const STALE = 1;
export const DRAFT = 2;
export const FINAL = 3;
export const BELOW_FLOOR = 8;

const STAGE = 7;
/** What stands for NaN in saved values and in saved errors. */
const [GAP, UNKNOWN] = [-32_768, 255];

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

  /** What was saved with the notebook, until a kernel says more. */
  load(saved: Saved): void {
    if (this.revision > 0) return;
    this.version++;
    this.frames = saved.n_frames;
    this.levels = saved.levels;
    this.lines = new Map(
      saved.levels.map((level, row) => [level, { floor: null, noKnowledge: saved.no_knowledge[row] }]),
    );
    const [values, errors] = [int16(saved.values), uint8(saved.errors)];
    const kept = values.length / Math.max(saved.levels.length, 1);
    saved.levels.forEach((level, row) => {
      const curve = empty(this.frames);
      for (let k = 0; k < this.frames; k++) {
        const half = (k % saved.group) * 2 >= saved.group ? 1 : 0;
        const at = row * kept + (saved.group === 1 ? k : 2 * Math.floor(k / saved.group) + half);
        if (values[at] === GAP) continue;
        curve.ic[k] = saved.low[row] + values[at] * saved.step[row];
        if (errors[at] !== UNKNOWN) curve.stderr[k] = errors[at] * saved.error_step[row];
        curve.states[k] = FINAL;
      }
      this.byLevel.set(level, curve);
    });
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
