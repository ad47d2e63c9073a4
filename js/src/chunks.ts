// Sound in pieces: of the recording, or of what is left of it at a noise level, asked for as it is needed.

import { SAMPLE_RATE } from "./frames";

/** Samples in a chunk: five seconds. */
export const CHUNK = 5 * SAMPLE_RATE;
/** Chunks kept, so that going back needs no kernel: two minutes, 21 MB. */
const KEPT = 24;
/** Milliseconds after which an unanswered question is asked again. */
const PATIENCE = 10_000;

/** What sounds: the recording (null), or what is left of it at a noise level. */
export type Heard = number | null;

export class Chunks {
  private known = new Map<string, AudioBuffer>();
  private asked = new Map<string, number>();

  constructor(private readonly ask: (heard: Heard, first: number, count: number) => void) {}

  get(heard: Heard, index: number): AudioBuffer | undefined {
    return this.known.get(`${heard} ${index}`);
  }

  /** Asks for a chunk, unless it is here or on its way. */
  want(heard: Heard, index: number): void {
    const key = `${heard} ${index}`;
    const asked = this.asked.get(key);
    if (this.known.has(key) || (asked !== undefined && Date.now() - asked < PATIENCE)) return;
    this.asked.set(key, Date.now());
    // One sample more than is played: between the last and the next there is something at other speeds than 1.
    this.ask(heard, index * CHUNK, CHUNK + 1);
  }

  /** What was asked for and is not here may be asked for again: whoever answers has left it out. */
  forget(heard: Heard): void {
    for (const key of this.asked.keys()) if (key.startsWith(`${heard} `)) this.asked.delete(key);
  }

  put(heard: Heard, first: number, samples: Int16Array, context: BaseAudioContext): void {
    const key = `${heard} ${first / CHUNK}`;
    this.asked.delete(key);
    if (!samples.length) return;
    const buffer = context.createBuffer(1, samples.length, SAMPLE_RATE);
    buffer.getChannelData(0).set(Float32Array.from(samples, (sample) => sample / 32_768));
    this.known.delete(key);
    this.known.set(key, buffer);
    for (const old of this.known.keys()) {
      if (this.known.size <= KEPT) break;
      this.known.delete(old);
    }
  }
}
