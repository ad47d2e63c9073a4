// What all views of one widget share: curves, waveform, sound, the span on screen.

import type { AnyModel } from "@anywidget/types";
import { type Annotation, annotationsOf } from "./annotations";
import { Curves } from "./curves";
import { type Display, Shown } from "./display";
import { saveAs } from "./dom";
import { align, LINKED, member, membersWith, same } from "./group";
import { Kernel } from "./kernel";
import { type Answer, int16, type Request, type Saved, type Traits } from "./messages";
import { type Peak, Peaks } from "./peaks";
import { Player } from "./player";
import { Spectrogram } from "./spectrogram";
import { Timeline } from "./timeline";
import { Waveform } from "./waveform";

/** Seconds between two reports of the playhead to Python while it moves. */
const REPORT = 0.25;
/** Milliseconds the span on screen rests before Python is told. */
const REST = 200;
/** Reports of a moving playhead whose echo may still come. */
const ECHOES = 20;
/** Seconds heard before a peak, so that it comes as it came. */
const RUN_UP = 1;

export class Session {
  readonly curves = new Curves();
  readonly shown = new Shown(this.curves);
  readonly timeline = new Timeline();
  readonly player: Player;
  waveform: Waveform | null = null;
  annotations: Annotation[] = [];
  readonly spectrogram = new Spectrogram((request) => this.send(request));
  readonly peaks = new Peaks((request) => this.send(request));
  readonly kernel: Kernel;
  /** What is switched on in this page only. */
  readonly panels = { spectrogram: false, peaks: false, clicks: false, help: false, settings: false };
  /** Second under the pointer, in any view of the group. */
  hovered: number | null = null;
  /** What to tell the user until play is pressed or a kernel answers, as a sentence. */
  hint = "";
  private listeners = new Set<() => void>();
  private followers = new Set<() => void>();
  private reported = 0;
  /** What was said of the playhead while it moved: an echo of it is nobody's wish. */
  private said: number[] = [];
  private viewTimer: ReturnType<typeof setTimeout> | undefined;
  private saveTimer: ReturnType<typeof setTimeout> | undefined;
  private heardLast: number | null = null;
  private views = 0;

  constructor(
    readonly model: AnyModel<Traits>,
    signal: AbortSignal,
  ) {
    this.player = new Player(
      (noise_level, first, count) => this.send({ type: "audio", noise_level, first, count }),
      () => this.sounded(),
      () => {
        this.hint = "The browser lets sound begin only after a click on the page: press play.";
        this.changed();
      },
    );
    const on: [string, (...all: never[]) => void][] = [
      ["msg:custom", (message: Answer, buffers: DataView[]) => this.take(message, buffers)],
      ["change:n_frames", () => this.open()],
      ["change:current_time", () => this.onTime()],
      ["change:playing", () => this.onPlaying()],
      ["change:view", () => this.onView()],
      ["change:solo", () => this.onSolo()],
      ["change:group", () => this.onGroup()],
      ...LINKED.map((name): [string, () => void] => [`change:${name}`, () => this.share(name)]),
      ["change", () => this.onTrait()],
    ];
    for (const [name, react] of on) model.on(name as "msg:custom", react as never);
    signal.addEventListener("abort", () => {
      for (const [name, react] of on) model.off(name, react as never);
      clearTimeout(this.viewTimer);
      clearTimeout(this.saveTimer);
      this.player.close();
    });
    this.kernel = new Kernel(model, signal, (hint) => {
      this.hint = hint;
      if (this.kernel.missing) this.player.pause();
      this.changed();
    });
    member(this, signal);
    this.onGroup();
    const saved = model.get("saved");
    if ("values" in saved) this.curves.load(saved as Saved);
    this.open();
    this.onTrait();
    this.send({ type: "ready" });
  }

  get display(): Display {
    return { unit: this.model.get("unit"), smoothing: this.model.get("smoothing") };
  }

  /** A view is there until `signal`; when the last one is gone and none comes in its place, nothing sounds. */
  viewed(signal: AbortSignal): void {
    this.views++;
    signal.addEventListener("abort", () => {
      this.views--;
      setTimeout(() => this.views || this.player.pause());
    });
  }

  /** Calls `listener` whenever something that is drawn has changed; returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changed(): void {
    for (const listener of this.listeners) listener();
  }

  /** Calls `listener` whenever the pointer is elsewhere; returns how to stop that. */
  onHover(listener: () => void): () => void {
    this.followers.add(listener);
    return () => this.followers.delete(listener);
  }

  hover(seconds: number | null): void {
    for (const each of this.together) {
      each.hovered = seconds;
      for (const listener of each.followers) listener();
    }
  }

  get grouped(): boolean {
    return this.model.get("group") !== "";
  }

  /** This and all others of its group. */
  get together(): Session[] {
    return membersWith(this);
  }

  private get others(): Session[] {
    return this.together.filter((each) => each !== this);
  }

  /** The one of the group that sounds. */
  get voice(): Session {
    return this.together.find((each) => each.model.get("solo")) ?? this;
  }

  /** Where the playhead is, in seconds. */
  get position(): number {
    return this.voice.player.position;
  }

  /** Whether there is somebody who sends sound. */
  get playable(): boolean {
    return this.waveform !== null && (!this.kernel.missing || this.model.get("page")?.sound === true);
  }

  get sounding(): boolean {
    return this.voice.player.state !== "stopped";
  }

  send(request: Request): void {
    this.model.send(request);
  }

  set<K extends keyof Traits>(name: K, value: Traits[K]): void {
    this.model.set(name, value);
    this.model.save_changes();
  }

  /** The span on screen has moved: draw it, and have it computed first. */
  moved(): void {
    for (const each of this.together) {
      each.timeline.show(this.timeline.start, this.timeline.end);
      each.changed();
    }
    clearTimeout(this.viewTimer);
    this.viewTimer = setTimeout(() => {
      const { start, end, whole } = this.timeline;
      this.set("view", whole ? null : [start, end]);
    }, REST);
  }

  toggle(): void {
    const { voice } = this;
    if (voice.player.state === "stopped") voice.play();
    else voice.player.pause();
  }

  /** Begins to sound, if there is somebody who sends sound; what is said where not stays. */
  private play(): void {
    if (!this.playable) return;
    for (const each of this.together) each.hint = "";
    void this.player.play();
  }

  /** Goes there, in the recording that sounds; where that has ended, this one takes over. */
  seek(seconds: number): void {
    const [own, sounding] = [this, this.voice].map((each) => each.model.get("duration"));
    if (seconds > sounding && own > sounding) this.listen();
    this.voice.player.seek(seconds);
  }

  /** Lets this one sound in place of another of its group. */
  listen(): void {
    this.set("solo", true);
  }

  /** Lets the next one of the group sound. */
  listenToNext(): void {
    const { together, voice } = this;
    together[(together.indexOf(voice) + 1) % together.length].listen();
  }

  /** Plays a surprising moment, and what led up to it. */
  playPeak({ start }: Peak): void {
    this.listen();
    this.player.seek(start - RUN_UP);
    if (!this.timeline.shows(start)) {
      this.timeline.centre(start);
      this.moved();
    }
    this.play();
  }

  /** Hears the recording, or what is left of it at the level heard last: the lowest one shown to begin with. */
  switchSound(): void {
    const now = this.model.get("heard_level");
    if (now !== null) this.heardLast = now;
    const levels = this.model.get("visible_levels");
    const level = this.heardLast ?? levels.find((each) => each > 0) ?? levels[0] ?? null;
    this.set("heard_level", now === null ? level : null);
  }

  /** Switches something on or off in this page; what is drawn, for the whole group. */
  switch(panel: keyof Session["panels"]): void {
    const own = panel === "help" || panel === "settings";
    if (this.model.get("page") && !own) return;
    const on = !this.panels[panel];
    for (const each of own ? [this] : this.together) {
      each.panels[panel] = on;
      each.askForPeaks();
      each.tune();
      each.changed();
    }
  }

  /** Tells Python where the playhead is; while it plays, a few times a second. */
  report(): void {
    if (this.voice !== this) return;
    const { position, state } = this.player;
    if (position === this.reported) return;
    if (state === "playing" && Math.abs(position - this.reported) < REPORT) return;
    for (const each of this.together) {
      each.reported = position;
      if (state === "playing") each.said = [...each.said.slice(1 - ECHOES), position];
      each.set("current_time", position);
    }
  }

  private open(): void {
    const { model } = this;
    const duration = model.get("duration");
    if (!model.get("n_frames") || this.waveform) return;
    this.waveform = new Waveform(model.get("bin_samples"), int16(model.get("overview")), (r) => this.send(r));
    this.spectrogram.open(duration);
    this.player.open(duration);
    this.onGroup();
    this.reported = model.get("current_time");
    if (this.reported) this.player.seek(this.reported);
    this.changed();
  }

  private onTrait(): void {
    this.tune();
    this.askForPeaks();
    this.changed();
  }

  private onTime(): void {
    const wanted = this.model.get("current_time");
    if (wanted !== this.reported && !this.said.includes(wanted)) this.seek(wanted);
  }

  private onPlaying(): void {
    const wanted = this.model.get("playing");
    if (wanted === (this.player.state !== "stopped")) return;
    // Where another one of the group sounded, this one has begun with taking over.
    if (wanted) this.listen();
    if (wanted !== (this.player.state !== "stopped")) this.toggle();
  }

  /** Sounds on in place of the one that did, at the same moment. */
  private onSolo(): void {
    const before = this.others.find((each) => each.model.get("solo") || each.player.state !== "stopped");
    if (!before) return;
    if (!this.model.get("solo")) return this.player.pause();
    const { position, state } = before.player;
    before.player.pause();
    before.set("solo", false);
    // Played first, so that a wish to play is not taken back by the seek.
    if (state !== "stopped") void this.player.play();
    this.player.seek(position);
    for (const each of this.together) each.changed();
  }

  /** Who comes into a group takes over what it has in common, and is silent where another one sounds. */
  private onGroup(): void {
    const [first] = this.together;
    for (const name of LINKED) first.share(name);
    if (this.model.get("solo") && this.others.some((each) => each.model.get("solo"))) this.set("solo", false);
    align();
  }

  /** Takes the time axis of its group. */
  align(): void {
    const longest = Math.max(...this.together.map((each) => each.model.get("duration")));
    if (this.timeline.duration === longest) return;
    this.timeline.open(longest);
    this.onView();
    this.changed();
  }

  /** What a group has in common is set in all of it; told to Python when it rests. */
  private share(name: (typeof LINKED)[number]): void {
    const value = this.model.get(name);
    for (const each of this.others) {
      if (same(each.model.get(name), value)) continue;
      each.model.set(name, value);
      clearTimeout(each.saveTimer);
      each.saveTimer = setTimeout(() => each.model.save_changes(), REST);
    }
  }

  private onView(): void {
    const view = this.model.get("view");
    if (view) this.timeline.show(...view);
    else this.timeline.show(0, this.timeline.duration);
  }

  private sounded(): void {
    this.report();
    const sounding = this.player.state !== "stopped";
    if (this.model.get("playing") !== sounding) this.set("playing", sounding);
    for (const each of this.together) each.changed();
  }

  private tune(): void {
    const { model, panels } = this;
    const everything: [number, number] = [0, model.get("duration")];
    const clicks = panels.clicks ? this.peaks.found.map((peak) => peak.start) : [];
    this.player.set(
      model.get("loop") ? (model.get("selection") ?? everything) : null,
      model.get("speed"),
      clicks,
    );
    this.player.setVolume(model.get("volume"));
    this.player.hear(model.get("decodes") ? model.get("heard_level") : null);
  }

  /** Peaks belong to a finished result and to the first level that is drawn. */
  private askForPeaks(): void {
    const { model, panels } = this;
    if (!(panels.peaks || panels.clicks) || model.get("status") !== "done") return;
    this.peaks.want(model.get("visible_levels")[0], this.curves.revision);
  }

  private take(message: Answer, buffers: DataView[]): void {
    this.kernel.answered();
    switch (message.type) {
      case "restart":
        this.curves.restart(message);
        break;
      case "curves":
        this.curves.put(message, buffers);
        break;
      case "audio":
        this.player.take(message.noise_level, message.first, int16(buffers[0]));
        break;
      case "waveform":
        this.waveform?.take(message, buffers[0]);
        break;
      case "spectrogram":
        this.spectrogram.take(message, buffers[0]);
        break;
      case "peaks":
        this.peaks.take(message);
        this.tune();
        break;
      case "table":
        saveAs(message.name, new Blob([buffers[0] as DataView<ArrayBuffer>]));
        break;
      case "annotations":
        this.annotations = annotationsOf(message, buffers);
        break;
    }
    this.changed();
  }
}
