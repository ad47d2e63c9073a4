// One view of a widget: the parts put together, drawn when something changed.

import { drawAnnotations } from "./annotations";
import { AXIS, Chart, GUTTER, MARGIN } from "./chart";
import { header, levels, sentences, sliders } from "./controls";
import { colour, element, fitCanvas } from "./dom";
import { focusIn } from "./focus";
import { footer, readout } from "./footer";
import { clamp } from "./frames";
import { listenToPointer } from "./gestures";
import { helpPanel, listenToKeys } from "./keys";
import { looks } from "./looks";
import { saveMenu } from "./menu";
import { overview } from "./overview";
import { peakPanel } from "./peaks";
import type { Session } from "./session";
import { spoken } from "./spoken";
import { transport, zoomButtons } from "./transport";
import { svg } from "./vector";
import { drawColumns } from "./waveform";

/** Width in CSS pixels under which controls move together. */
const NARROW = 560;

export function mount(session: Session, host: HTMLElement, signal: AbortSignal): void {
  const { timeline, model } = session;
  const root = element("div", {
    class: "audioic",
    role: "group",
    tabindex: 0,
    "data-lm-suppress-shortcuts": "true",
  });
  const strip = (name: string, label: string) =>
    element("canvas", {
      class: `aic-strip aic-${name}`,
      "data-testid": name,
      role: "img",
      "aria-label": label,
    });
  const waveform = strip("waveform", "Waveform");
  const mel = strip("mel", "Mel spectrogram");
  const notes = strip("annotations", "Annotations");
  const selection = element("div", { class: "aic-selection", hidden: true });
  const pointer = element("div", { class: "aic-pointer", hidden: true });
  const playhead = element("div", { class: "aic-playhead", "data-testid": "playhead" });
  const chartsHost = element("div", { class: "aic-lanes" });
  const stack = element(
    "div",
    { class: "aic-stack", "data-testid": "stack" },
    waveform,
    mel,
    notes,
    chartsHost,
    selection,
    pointer,
    playhead,
  );
  let charts: Chart[] = [];
  const values = readout(session);
  const bar = transport(session);
  const zooming = zoomButtons(session);
  const parts = {
    header: header(session),
    sentences: sentences(session),
    bar,
    zooming,
    levels: levels(session),
    sliders: sliders(session),
    looks: looks(session),
    overview: overview(session),
    footer: footer(
      session,
      saveMenu(session, root, stack, () => svg(session, stack, charts)),
    ),
    peaks: peakPanel(session),
    help: helpPanel(session),
    spoken: spoken(session),
  };
  const soundRow = element("div", { class: "aic-row" }, bar.root, zooming.root);
  const settings = element("div", { class: "aic-row" }, parts.levels.root, parts.sliders.root);
  root.append(stack, values.root, parts.footer.root, parts.peaks.root, parts.help.root, parts.spoken.root);
  host.append(root);
  Object.assign(root, { audioic: inspection(session) });

  let arranged = "";
  let grouped: boolean | null = null;

  // Drawing ------------------------------------------------------------------------------------------------------

  const plotWidth = () => Math.max(stack.clientWidth - GUTTER - MARGIN, 1);
  const toX = (seconds: number) => GUTTER + ((seconds - timeline.start) / timeline.span) * plotWidth();
  const toSeconds = (event: MouseEvent) => {
    const x = event.clientX - stack.getBoundingClientRect().left - GUTTER;
    return clamp(timeline.start + (x / plotWidth()) * timeline.span, 0, timeline.duration);
  };

  function arrangeCharts(): void {
    const levels = model.get("visible_levels");
    const groups = model.get("overlay") && levels.length ? [levels] : levels.map((level) => [level]);
    const key = JSON.stringify(groups);
    if (key === arranged) return;
    arranged = key;
    for (const chart of charts) chart.close();
    charts = groups.map((group, at) => new Chart(session, group, at === groups.length - 1, chartsHost));
  }

  /** In a group, what all share comes first, and settings are folded away. */
  function arrangeControls(): void {
    if (grouped !== session.grouped) {
      grouped = session.grouped;
      root.dataset.grouped = String(grouped);
      const shared = [soundRow, parts.looks.root, parts.overview.root];
      const own = [parts.header.root, parts.sentences.root, settings];
      root.prepend(
        ...(grouped ? [...shared, ...own] : [...own.slice(0, 2), soundRow, settings, ...shared.slice(1)]),
      );
    }
    const empty = session.waveform === null;
    root.dataset.saved = String(model.get("page") !== undefined);
    root.dataset.compact = String(model.get("compact"));
    root.dataset.narrow = String(root.clientWidth < NARROW);
    settings.hidden = grouped && !session.panels.settings;
    soundRow.hidden = model.get("compact") || (empty && model.get("status") === "error");
    parts.looks.root.hidden = parts.overview.root.hidden = empty || model.get("compact");
    for (const part of [stack, values.root, parts.footer.root]) part.hidden = empty;
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

  function draw(): void {
    root.setAttribute("aria-label", `Information content of ${model.get("name")}`);
    const theme = isDark(root) ? "dark" : "light";
    if (root.dataset.theme !== theme) {
      root.dataset.theme = theme;
      for (const chart of charts) chart.recolour();
    }
    const handOn = focusIn(root);
    arrangeControls();
    for (const part of Object.values(parts)) part.update();
    handOn();
    mel.hidden = !session.panels.spectrogram;
    notes.hidden = session.annotations.length === 0;
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
    if (!mel.hidden) {
      fitCanvas(mel);
      const image = mel.getContext("2d");
      if (image) session.spectrogram.draw(image, timeline.start, timeline.end);
    }
    if (!notes.hidden) {
      fitCanvas(notes);
      drawAnnotations(notes, session);
    }
    arrangeCharts();
    for (const chart of charts) chart.draw();
    drawSelection();
    stack.style.setProperty("--aic-axis", `${charts.length ? AXIS : 0}px`);
    move();
  }

  /** What follows the playhead: cheap enough for every frame of the screen. */
  function move(): void {
    const { position, hovered } = session;
    if (session.sounding && model.get("follow") && timeline.follow(position)) session.moved();
    place(playhead, session.waveform ? position : null);
    place(pointer, hovered);
    bar.tick();
    values.show(hovered ?? position);
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
    if (!session.sounding) return;
    session.report();
    move();
    moving = requestAnimationFrame(animate);
  };
  const stopListening = session.onChange(() => {
    redraw();
    if (session.sounding) moving ||= requestAnimationFrame(animate);
  });
  listenToPointer(stack, session, {
    toSeconds,
    width: plotWidth,
    hover: (seconds) => session.hover(seconds),
  });
  const stopHovering = session.onHover(() => {
    drawSelection();
    move();
  });
  listenToKeys(root, session, redraw);

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
    stopHovering();
    resized.disconnect();
    seen.disconnect();
    themed.disconnect();
    cancelAnimationFrame(scheduled);
    cancelAnimationFrame(moving);
    for (const chart of charts) chart.close();
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
function inspection(session: Session) {
  const { curves, shown, player, model, timeline } = session;
  return {
    drawn: (level: number) => [...(shown.get(level, session.display)?.ic ?? [])],
    span: () => [timeline.start, timeline.end],
    tap: () => player.tap,
    trace: (level: number) => {
      const curve = curves.get(level);
      return curve && { ic: [...curve.ic], stderr: [...curve.stderr], states: [...curve.states] };
    },
    states: (level: number) => curves.get(level)?.states,
    position: () => session.position,
    state: () => player.state,
    turning: () => player.turning,
    status: () => model.get("status"),
    revision: () => curves.revision,
  };
}
