// Plays the samples that the model saw, fetched from the kernel chunk by chunk, by the audio clock.

import { CHUNK, Chunks, type Heard } from "./chunks";
import { clamp, SAMPLE_RATE } from "./frames";

/** Seconds of the recording fetched ahead of what sounds. */
const AHEAD = 8;
/** Seconds of the clock scheduled ahead: more than a page in the background sleeps between two timers. */
const HORIZON = 2.5;
/** Seconds between the call and the first sample, so that it is not cut. */
const LEAD = 0.03;
/** Milliseconds a browser is given to allow sound. */
const PERMISSION = 1_000;
/** Seconds of another sound that must be there before it takes over. */
const RESERVE = 1;
/** Samples a loop has at least. */
const SHORTEST_LOOP = 2_205;
const CLICK_SECONDS = 0.012;
const CLICK_HERTZ = 1_800;

export type PlayerState = "stopped" | "buffering" | "playing";

/** A piece of the recording, samples `from .. to - 1`, and when on the audio clock it sounds. */
interface Piece {
  from: number;
  to: number;
  when: number;
  until: number;
}

export class Player {
  state: PlayerState = "stopped";
  /** Seconds `[start, end]` that are repeated, or null. */
  private loop: [number, number] | null = null;
  private speed = 1;
  private volume = 1;
  private clicks: number[] = [];
  private context: AudioContext | null = null;
  private output: GainNode | null = null;
  private readonly chunks: Chunks;
  private heard: Heard = null;
  private wanted: Heard = null;
  private sources = new Set<AudioBufferSourceNode>();
  private pieces: Piece[] = [];
  /** Sample that is next to be scheduled; where it stands while nothing sounds. */
  private next = 0;
  private timer: ReturnType<typeof setInterval> | undefined;
  /** Whether sound may begin, while the browser has not said: of several questions the last one counts. */
  private asking: Promise<boolean> | null = null;

  /**
   * @param ask asks the kernel for samples; `take` is called with the answer
   * @param changed called when the state or, by a seek, the position changes
   * @param refused called when the browser does not let sound begin
   */
  constructor(
    ask: (heard: Heard, first: number, count: number) => void,
    private readonly changed: () => void,
    private readonly refused: () => void = () => {},
    private duration = 0,
  ) {
    this.chunks = new Chunks(ask);
  }

  open(duration: number): void {
    this.duration = duration;
  }

  /** Second of the recording that sounds now, the way to the ear included. */
  get position(): number {
    if (this.state !== "playing" || !this.context) return this.next / SAMPLE_RATE;
    const heard = this.context.currentTime - (this.context.outputLatency || 0);
    const now = this.pieces.find((piece) => heard < piece.until) ?? this.pieces.at(-1);
    if (!now) return this.next / SAMPLE_RATE;
    const elapsed = Math.max(heard - now.when, 0) * this.speed;
    return clamp(now.from / SAMPLE_RATE + elapsed, 0, now.to / SAMPLE_RATE);
  }

  /** Starts at the present position; from the beginning if that is the end, or the loop's if it is outside. */
  async play(): Promise<void> {
    if (this.state !== "stopped" || this.duration === 0) return;
    this.context ??= new AudioContext({ sampleRate: SAMPLE_RATE });
    if (!this.output) {
      this.output = this.context.createGain();
      this.output.gain.value = this.volume;
      this.output.connect(this.context.destination);
    }
    this.state = "buffering";
    const allowed = this.context.resume().then(
      () => true,
      () => false,
    );
    const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), PERMISSION));
    const asking = Promise.race([allowed, late]);
    this.asking = asking;
    const sounds = await asking;
    if (this.asking !== asking) return;
    this.asking = null;
    if (!sounds) {
      this.stop(this.position);
      this.refused();
      return;
    }
    if (this.next >= this.samples - SAMPLE_RATE / 100) this.next = 0;
    const bounds = this.bounds;
    if (bounds && (this.next < bounds[0] || this.next >= bounds[1])) this.next = bounds[0];
    this.begin();
  }

  pause(): void {
    if (this.state !== "stopped") this.stop(this.position);
  }

  seek(seconds: number): void {
    const { state, asking } = this;
    this.heard = this.wanted;
    this.halt(clamp(seconds, 0, this.duration));
    if (state !== "stopped") {
      this.state = "buffering";
      this.asking = asking;
      if (!asking) this.begin();
    }
    this.changed();
  }

  /** What is repeated, how fast it plays, and where it clicks; what sounds goes on from where it is. */
  set(loop: [number, number] | null, speed: number, clicks: number[] = []): void {
    const same =
      String(loop) === String(this.loop) && speed === this.speed && String(clicks) === String(this.clicks);
    if (same) return;
    const at = this.position;
    this.loop = loop;
    this.speed = speed;
    this.clicks = clicks;
    if (this.state !== "stopped") this.seek(at);
  }

  /** Goes over to another sound at the playhead, as soon as that is there. */
  hear(wanted: Heard): void {
    if (wanted === this.wanted) return;
    this.chunks.forget(this.wanted);
    this.wanted = wanted;
    if (this.state === "playing") this.turn();
    else this.seek(this.position);
  }

  /** Whether another sound than the one that is heard is on its way. */
  get turning(): boolean {
    return this.wanted !== this.heard;
  }

  private turn(): void {
    if (!this.turning) return;
    const first = Math.floor((this.position * SAMPLE_RATE) / CHUNK);
    const soon = Math.min(this.position * SAMPLE_RATE + RESERVE * SAMPLE_RATE * this.speed, this.samples - 1);
    let ready = true;
    for (let index = first; index <= Math.floor(soon / CHUNK); index++) {
      ready &&= this.chunks.get(this.wanted, index) !== undefined;
      this.chunks.want(this.wanted, index);
    }
    if (ready) this.seek(this.position);
  }

  setVolume(volume: number): void {
    this.volume = volume;
    if (this.output) this.output.gain.value = volume;
  }

  /** An answer of the kernel: samples from `first` on. */
  take(heard: Heard, first: number, samples: Int16Array): void {
    if (!this.context) return;
    this.chunks.put(heard, first, samples, this.context);
    this.pump();
  }

  /** Where all sound comes out, for those who record it. */
  get tap(): AudioNode | null {
    return this.output;
  }

  close(): void {
    this.halt(0);
    void this.context?.close();
    this.context = null;
  }

  private get samples(): number {
    return Math.round(this.duration * SAMPLE_RATE);
  }

  /** The loop in whole samples: rounded once, so that it is as long every time. */
  private get bounds(): [number, number] | null {
    if (!this.loop) return null;
    const first = clamp(Math.round(this.loop[0] * SAMPLE_RATE), 0, this.samples);
    const stop = clamp(Math.round(this.loop[1] * SAMPLE_RATE), 0, this.samples);
    return stop - first >= SHORTEST_LOOP ? [first, stop] : null;
  }

  private begin(): void {
    this.timer = setInterval(() => this.pump(), 100);
    this.pump();
    this.changed();
  }

  /** Ends the sound, and with it the clock: one that runs for nobody keeps the sound card awake. */
  private stop(seconds: number): void {
    this.halt(seconds);
    void this.context?.suspend();
    this.changed();
  }

  private halt(seconds: number): void {
    this.state = "stopped";
    this.asking = null;
    clearInterval(this.timer);
    for (const source of this.sources) {
      source.onended = null;
      source.stop();
    }
    this.sources.clear();
    this.pieces = [];
    this.next = Math.round(seconds * SAMPLE_RATE);
  }

  /** Asks for what is missing, schedules what is there, notices an end or a gap. */
  private pump(): void {
    if (this.state === "stopped" || this.asking || !this.context) return;
    const clock = this.context.currentTime;
    const heard = clock - (this.context.outputLatency || 0);
    while (this.pieces.length > 1 && this.pieces[0].until <= heard) this.pieces.shift();
    const silent = this.state === "buffering" || heard >= (this.pieces.at(-1)?.until ?? 0);
    if (silent && this.next >= this.samples && !this.bounds) {
      this.stop(this.duration);
      return;
    }
    if (silent && this.state === "playing") {
      // The kernel was too slow: the clock stands until there is more.
      this.pieces = [];
      this.state = "buffering";
      this.changed();
    }
    if (this.state === "playing" && this.turning) {
      this.turn();
      if (!this.turning) return;
    }
    this.fetch();
    for (;;) {
      const bounds = this.bounds;
      if (bounds && (this.next === bounds[1] || this.next >= this.samples)) this.next = bounds[0];
      const stop = bounds && this.next < bounds[1] ? bounds[1] : this.samples;
      // What comes while the last piece is on its way to the ear cannot follow it without a gap any more.
      const last = this.pieces.at(-1)?.until ?? 0;
      const when = last > clock ? last : clock + LEAD;
      if (this.next >= stop || when > clock + HORIZON) break;
      const index = Math.floor(this.next / CHUNK);
      const buffer = this.chunks.get(this.heard, index);
      if (!buffer) break;
      const to = Math.min((index + 1) * CHUNK, stop);
      const piece = { from: this.next, to, when, until: when + (to - this.next) / SAMPLE_RATE / this.speed };
      this.pieces.push(piece);
      this.schedule(piece, buffer, index * CHUNK);
      this.next = to;
      if (this.state === "buffering") {
        this.state = "playing";
        this.changed();
      }
    }
  }

  /** Asks for the chunks that come next, around the loop if there is one. */
  private fetch(): void {
    const bounds = this.bounds;
    const until = this.next + AHEAD * SAMPLE_RATE;
    const stop = Math.min(until, bounds && this.next <= bounds[1] ? bounds[1] : this.samples);
    for (let index = Math.floor(this.next / CHUNK); index * CHUNK < stop; index++)
      this.chunks.want(this.heard, index);
    if (bounds && until > bounds[1])
      for (
        let index = Math.floor(bounds[0] / CHUNK);
        index * CHUNK < Math.min(bounds[1], bounds[0] + CHUNK);
        index++
      )
        this.chunks.want(this.heard, index);
  }

  private schedule({ from, to, when, until }: Piece, buffer: AudioBuffer, start: number): void {
    const source = this.source(buffer);
    source?.start(when, (from - start) / SAMPLE_RATE, (to - from) / SAMPLE_RATE);
    for (const at of this.clicks) {
      const sample = at * SAMPLE_RATE;
      if (sample < from || sample >= to) continue;
      this.source(this.click(), 1)?.start(when + ((sample - from) / (to - from)) * (until - when));
    }
  }

  private source(buffer: AudioBuffer | null, rate = this.speed): AudioBufferSourceNode | null {
    if (!this.context || !this.output || !buffer) return null;
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.playbackRate.value = rate;
    source.connect(this.output);
    source.onended = () => this.sources.delete(source);
    this.sources.add(source);
    return source;
  }

  private click(): AudioBuffer | null {
    if (!this.context) return null;
    const length = Math.round(CLICK_SECONDS * SAMPLE_RATE);
    const buffer = this.context.createBuffer(1, length, SAMPLE_RATE);
    const wave = Float32Array.from(
      { length },
      (_, k) => 0.25 * Math.sin((2 * Math.PI * CLICK_HERTZ * k) / SAMPLE_RATE) * (1 - k / length) ** 2,
    );
    buffer.getChannelData(0).set(wave);
    return buffer;
  }
}
