// Plays the samples that the model saw, fetched from the kernel chunk by chunk, by the audio clock.

import { clamp, SAMPLE_RATE } from "./frames";

/** Samples in a chunk: five seconds. */
const CHUNK = 5 * SAMPLE_RATE;
/** Chunks kept, so that going back needs no kernel: two minutes, 21 MB. */
const KEPT = 24;
/** Seconds fetched and scheduled ahead of what sounds. */
const AHEAD = 8;
/** Seconds between the call and the first sample, so that it is not cut. */
const LEAD = 0.03;
/** Milliseconds after which an unanswered question is asked again. */
const PATIENCE = 10_000;

export type PlayerState = "stopped" | "buffering" | "playing";

export class Player {
  state: PlayerState = "stopped";
  private context: AudioContext | null = null;
  private chunks = new Map<number, AudioBuffer>();
  private asked = new Map<number, number>();
  private sources = new Set<AudioBufferSourceNode>();
  /** What sounds at `anchorTime` of the audio clock is the second `anchor` of the recording. */
  private anchor = 0;
  private anchorTime = 0;
  /** Next chunk to schedule. */
  private next = 0;
  private timer: ReturnType<typeof setInterval> | undefined;

  /**
   * @param ask asks the kernel for samples; `take` is called with the answer
   * @param changed called when the state or, by a seek, the position changes
   */
  constructor(
    private readonly ask: (first: number, count: number) => void,
    private readonly changed: () => void,
    private duration = 0,
  ) {}

  open(duration: number): void {
    this.duration = duration;
  }

  /** Second of the recording that sounds now, the way to the ear included. */
  get position(): number {
    if (this.state !== "playing" || !this.context) return this.anchor;
    const heard = this.context.currentTime - (this.context.outputLatency || 0);
    return clamp(this.anchor + Math.max(heard - this.anchorTime, 0), 0, this.duration);
  }

  /** Starts at the present position, from the beginning if that is the end. Needs a user's gesture once. */
  async play(): Promise<void> {
    if (this.state !== "stopped" || this.duration === 0) return;
    this.context ??= new AudioContext({ sampleRate: SAMPLE_RATE });
    this.state = "buffering";
    await this.context.resume();
    if (this.state !== "buffering") return;
    if (this.anchor >= this.duration - 0.01) this.anchor = 0;
    this.begin();
  }

  pause(): void {
    this.anchor = this.position;
    this.stop();
    this.changed();
  }

  seek(seconds: number): void {
    const sounding = this.state !== "stopped";
    this.stop();
    this.anchor = clamp(seconds, 0, this.duration);
    if (sounding) {
      this.state = "buffering";
      this.begin();
    }
    this.changed();
  }

  /** An answer of the kernel: samples from `first` on. */
  take(first: number, samples: Int16Array): void {
    const index = first / CHUNK;
    this.asked.delete(index);
    if (!samples.length || !this.context) return;
    const buffer = this.context.createBuffer(1, samples.length, SAMPLE_RATE);
    buffer.getChannelData(0).set(Float32Array.from(samples, (sample) => sample / 32_768));
    this.chunks.delete(index);
    this.chunks.set(index, buffer);
    for (const old of this.chunks.keys()) {
      if (this.chunks.size <= KEPT) break;
      this.chunks.delete(old);
    }
    this.pump();
  }

  close(): void {
    this.stop();
    void this.context?.close();
    this.context = null;
  }

  private begin(): void {
    this.next = Math.floor((this.anchor * SAMPLE_RATE) / CHUNK);
    this.timer = setInterval(() => this.pump(), 100);
    this.pump();
    this.changed();
  }

  private stop(): void {
    this.state = "stopped";
    clearInterval(this.timer);
    for (const source of this.sources) {
      source.onended = null;
      source.stop();
    }
    this.sources.clear();
  }

  /** Asks for what is missing, schedules what is there, notices an end or a gap. */
  private pump(): void {
    if (this.state === "stopped" || !this.context) return;
    const last = Math.ceil((this.duration * SAMPLE_RATE) / CHUNK);
    const scheduled = Math.min((this.next * CHUNK) / SAMPLE_RATE, this.duration);
    if (this.state === "playing" && this.position >= scheduled) {
      this.anchor = scheduled;
      if (this.next >= last) {
        this.stop();
        this.changed();
        return;
      }
      // The kernel was too slow: the clock stands until there is more.
      this.state = "buffering";
      this.changed();
    }
    const until = Math.min(Math.ceil(((this.position + AHEAD) * SAMPLE_RATE) / CHUNK), last);
    for (let index = this.next; index < until; index++) this.want(index);
    while (this.next < until) {
      const buffer = this.chunks.get(this.next);
      if (!buffer) break;
      if (this.state === "buffering") {
        this.anchorTime = this.context.currentTime + LEAD;
        this.state = "playing";
        this.changed();
      }
      this.schedule(buffer, (this.next * CHUNK) / SAMPLE_RATE);
      this.next++;
    }
  }

  private want(index: number): void {
    const asked = this.asked.get(index);
    if (this.chunks.has(index) || (asked !== undefined && Date.now() - asked < PATIENCE)) return;
    this.asked.set(index, Date.now());
    this.ask(index * CHUNK, CHUNK);
  }

  /** Lets `buffer`, which begins at the second `start` of the recording, sound when its time comes. */
  private schedule(buffer: AudioBuffer, start: number): void {
    const { context } = this;
    if (!context) return;
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    const skipped = Math.max(this.anchor - start, 0);
    source.start(this.anchorTime + Math.max(start - this.anchor, 0), skipped);
    source.onended = () => this.sources.delete(source);
    this.sources.add(source);
  }
}
