// One view of a widget: the parts put together, drawn when something changed, moved by pointer and keys.

import { header, levels, sentences, sliders, transport } from "./controls";
import { colour, element, fitCanvas } from "./dom";
import { clock, level as levelText, nats } from "./format";
import { clamp, FRAME_PERIOD, frameAt } from "./frames";
import { GUTTER, Lane, MARGIN } from "./lane";
import { overview } from "./overview";
import type { Session } from "./session";
import { drawColumns } from "./waveform";

/** Pixels a pressed pointer moves before it selects instead of seeking. */
const DRAG = 4;
const ZOOM = 1.6;

export function mount(session: Session, host: HTMLElement, signal: AbortSignal): void {
  const { player, timeline, model, curves } = session;
  const root = element("div", {
    class: "audioic",
    role: "group",
    tabindex: 0,
    "data-lm-suppress-shortcuts": "true",
  });
  const waveform = element("canvas", {
    class: "aic-waveform",
    "data-testid": "waveform",
    role: "img",
    "aria-label": "Waveform",
  });
  const selection = element("div", { class: "aic-selection", hidden: true });
  const pointer = element("div", { class: "aic-pointer", hidden: true });
  const playhead = element("div", { class: "aic-playhead", "data-testid": "playhead" });
  const lanesHost = element("div", { class: "aic-lanes" });
  const stack = element(
    "div",
    { class: "aic-stack", "data-testid": "stack" },
    waveform,
    lanesHost,
    selection,
    pointer,
    playhead,
  );
  const readout = element("p", { class: "aic-readout", "data-testid": "hover" });
  const bar = transport(session, () => toggle());
  const parts = [
    header({ model, send: (request) => session.send(request) }),
    sentences(session),
    { ...bar, root: element("div", { class: "aic-row" }, bar.root) },
    levels(session),
    sliders(session),
    overview(session),
  ];
  const levelsPart = parts[3];
  parts[2].root.append(levelsPart.root);
  root.append(...parts.filter((part) => part !== levelsPart).map((part) => part.root), stack, readout);
  host.append(root);
  Object.assign(root, { audioic: inspection(session) });

  let lanes: Lane[] = [];
  let hovered: number | null = null;

  // Drawing ------------------------------------------------------------------------------------------------------

  const plotWidth = () => Math.max(stack.clientWidth - GUTTER - MARGIN, 1);
  const toX = (seconds: number) => GUTTER + ((seconds - timeline.start) / timeline.span) * plotWidth();
  const toSeconds = (event: MouseEvent) => {
    const x = event.clientX - stack.getBoundingClientRect().left - GUTTER;
    return clamp(timeline.start + (x / plotWidth()) * timeline.span, 0, timeline.duration);
  };

  function arrangeLanes(): void {
    const wanted = model.get("noise_levels").filter((level) => !session.hidden.has(level));
    if (wanted.join() === lanes.map((lane) => lane.level).join()) return;
    for (const lane of lanes) lane.close();
    const all = model.get("noise_levels");
    lanes = wanted.map(
      (level, at) => new Lane(session, level, all.indexOf(level), at === wanted.length - 1, lanesHost),
    );
  }

  function place(marker: HTMLElement, seconds: number | null): void {
    marker.hidden =
      seconds === null || timeline.span === 0 || seconds < timeline.start || seconds > timeline.end;
    if (!marker.hidden && seconds !== null) marker.style.transform = `translateX(${toX(seconds)}px)`;
  }

  function drawSelection(): void {
    const chosen = model.get("selection");
    selection.hidden = !chosen || chosen[1] <= timeline.start || chosen[0] >= timeline.end;
    if (selection.hidden || !chosen) return;
    const [left, right] = chosen.map((at) => toX(clamp(at, timeline.start, timeline.end)));
    selection.style.left = `${left}px`;
    selection.style.width = `${right - left}px`;
  }

  function drawReadout(): void {
    const at = hovered ?? player.position;
    const frame = frameAt(at);
    const texts = model.get("noise_levels").map((level) => {
      const curve = curves.get(level);
      return `${levelText(level)}: ${curve ? nats(curve.ic[frame] ?? Number.NaN, curve.stderr[frame]) : "–"}`;
    });
    const text = session.waveform ? `${clock(at, 2)}   ${texts.join("   ")}   nats` : "";
    if (readout.textContent !== text) readout.textContent = text;
  }

  function draw(): void {
    root.setAttribute("aria-label", `Information content of ${model.get("name")}`);
    root.dataset.theme = isDark(root) ? "dark" : "light";
    stack.hidden = readout.hidden = session.waveform === null;
    for (const part of parts) part.update();
    if (!session.waveform || stack.clientWidth === 0) return;
    const [width] = fitCanvas(waveform);
    const context = waveform.getContext("2d");
    if (context)
      drawColumns(
        context,
        session.waveform.columns(timeline.start, timeline.end, width),
        session.waveform.peak,
        colour(root, "--aic-wave"),
      );
    arrangeLanes();
    for (const lane of lanes) lane.draw();
    drawSelection();
    move();
  }

  /** What follows the playhead: cheap enough for every frame of the screen. */
  function move(): void {
    if (player.state === "playing" && timeline.follow(player.position)) session.moved();
    place(playhead, session.waveform ? player.position : null);
    place(pointer, hovered);
    bar.tick();
    drawReadout();
  }

  let scheduled = 0;
  const redraw = () => {
    scheduled ||= requestAnimationFrame(() => {
      scheduled = 0;
      draw();
    });
  };
  let moving = 0;
  const animate = () => {
    moving = 0;
    if (player.state === "stopped") return;
    session.report();
    move();
    moving = requestAnimationFrame(animate);
  };
  const stopListening = session.onChange(() => {
    redraw();
    if (player.state !== "stopped") moving ||= requestAnimationFrame(animate);
  });

  // Pointer and keys ---------------------------------------------------------------------------------------------

  function toggle(): void {
    if (player.state === "stopped") void player.play();
    else player.pause();
  }

  let pressed: { at: number; x: number; selecting: boolean } | null = null;
  stack.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pressed = { at: toSeconds(event), x: event.clientX, selecting: false };
    stack.setPointerCapture(event.pointerId);
  });
  stack.addEventListener("pointermove", (event) => {
    hovered = toSeconds(event);
    if (pressed && (pressed.selecting || Math.abs(event.clientX - pressed.x) > DRAG)) {
      pressed.selecting = true;
      model.set("selection", [Math.min(pressed.at, hovered), Math.max(pressed.at, hovered)]);
      drawSelection();
    }
    move();
  });
  stack.addEventListener("pointerup", () => {
    if (pressed?.selecting) model.save_changes();
    else if (pressed) player.seek(pressed.at);
    pressed = null;
  });
  stack.addEventListener("pointercancel", () => {
    pressed = null;
  });
  stack.addEventListener("pointerleave", () => {
    hovered = null;
    move();
  });
  stack.addEventListener(
    "wheel",
    (event) => {
      // Without a modifier the wheel scrolls the page.
      if (event.ctrlKey || event.metaKey) timeline.zoom(Math.exp(-event.deltaY / 300), toSeconds(event));
      else if (event.shiftKey) timeline.pan(((event.deltaX || event.deltaY) / plotWidth()) * timeline.span);
      else return;
      event.preventDefault();
      session.moved();
    },
    { passive: false },
  );

  const keys: Record<string, (event: KeyboardEvent) => void> = {
    " ": toggle,
    ArrowLeft: (event) => player.seek(player.position - (event.shiftKey ? FRAME_PERIOD : 1)),
    ArrowRight: (event) => player.seek(player.position + (event.shiftKey ? FRAME_PERIOD : 1)),
    Home: () => player.seek(0),
    End: () => player.seek(timeline.duration),
    "+": () => zoom(ZOOM),
    "=": () => zoom(ZOOM),
    "-": () => zoom(1 / ZOOM),
    Escape: () => session.set("selection", null),
  };
  function zoom(factor: number): void {
    timeline.zoom(factor, clamp(player.position, timeline.start, timeline.end));
    session.moved();
  }
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // JupyterLab listens on the document and would take arrows and letters for its own commands.
    event.stopPropagation();
    const inControl = event.target instanceof HTMLElement && event.target.closest("input, select, button");
    const action = keys[event.key];
    if (!action || inControl) return;
    event.preventDefault();
    action(event);
    redraw();
  });

  // Life ---------------------------------------------------------------------------------------------------------

  const resized = new ResizeObserver(redraw);
  resized.observe(root);
  // A notebook that scrolls far enough drops what its canvases held.
  const seen = new IntersectionObserver(redraw);
  seen.observe(root);
  const themed = new MutationObserver(redraw);
  themed.observe(document.body, {
    attributes: true,
    attributeFilter: ["class", "data-jp-theme-light", "data-jp-theme-name"],
  });
  signal.addEventListener("abort", () => {
    stopListening();
    resized.disconnect();
    seen.disconnect();
    themed.disconnect();
    cancelAnimationFrame(scheduled);
    cancelAnimationFrame(moving);
    for (const lane of lanes) lane.close();
    root.remove();
  });
  redraw();
}

/** Whether the host has painted a dark background behind `root`. */
function isDark(root: HTMLElement): boolean {
  const parts = getComputedStyle(root)
    .backgroundColor.match(/[\d.]+/g)
    ?.map(Number) ?? [255, 255, 255];
  return 0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2] < 128;
}

/** What tests and the curious can ask of a view. */
function inspection({ curves, player, model }: Session) {
  return {
    trace: (level: number) => {
      const curve = curves.get(level);
      return curve && { ic: [...curve.ic], stderr: [...curve.stderr], states: [...curve.states] };
    },
    position: () => player.position,
    state: () => player.state,
    status: () => model.get("status"),
    revision: () => curves.revision,
  };
}
