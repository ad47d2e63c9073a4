// Small helpers to make elements. Text is set as text only: names come from outside.

type Attributes = Record<string, string | number | boolean>;

/** What takes keys. JupyterLab and Notebook ask each of them by itself whether they may take a key for a shortcut. */
const KEYED = new Set(["button", "input", "select"]);

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false) made.setAttribute(name, String(value));
  }
  if (KEYED.has(tag)) made.dataset.lmSuppressShortcuts = "true";
  made.append(...children);
  return made;
}

export function button(
  id: string,
  label: string | Node,
  tooltip: string,
  onClick: () => void,
): HTMLButtonElement {
  const made = element(
    "button",
    { type: "button", class: "aic-button", "data-testid": id, title: tooltip, "aria-label": tooltip },
    label,
  );
  made.addEventListener("click", onClick);
  return made;
}

const ICONS = {
  play: "M4 2.5v11l9-5.5z",
  pause: "M3.5 2.5h3v11h-3zM9.5 2.5h3v11h-3z",
  rewind: "M3 2.5h2v11H3zM13 2.5v11L6 8z",
  loop: "M11 1.5L14.5 4 11 6.5V5H5a2 2 0 0 0-2 2v1.5H1.5V7A3.5 3.5 0 0 1 5 3.500h6zM5 14.500L1.500 12 5 9.500V11h6a2 2 0 0 0 2-2V7.500h1.500V9a3.500 3.500 0 0 1-3.500 3.500H5z",
  volume:
    "M2 6h2.500L8 2.800v10.400L4.500 10H2zM10 5.200a3.500 3.500 0 0 1 0 5.600zM10 2.500a6 6 0 0 1 0 11v-1.400a4.700 4.700 0 0 0 0-8.200z",
  settings:
    "M1.500 4h6.500a2 2 0 0 1 4 0h2.500v1.200H12a2 2 0 0 1-4 0H1.500zM1.500 10.800H4a2 2 0 0 1 4 0h6.500V12H8a2 2 0 0 1-4 0H1.500z",
  closer: "M7.250 3h1.500v4.250H13v1.500H8.750V13h-1.500V8.750H3v-1.500h4.250z",
  wider: "M3 7.250h10v1.500H3z",
  selection: "M2 3h1.500v10H2zM12.500 3H14v10h-1.500zM5 7.250h6v1.500H5z",
  whole: "M5 4L1.500 8 5 12V8.750h6V12l3.500-4L11 4v3.250H5z",
  cross: "M3.3 4.7l1.4-1.4L8 6.6l3.3-3.3 1.4 1.4L9.4 8l3.3 3.3-1.4 1.4L8 9.4l-3.3 3.3-1.4-1.4L6.6 8z",
};

/** A drawing: fonts of some systems lack the signs of players. */
export function icon(name: keyof typeof ICONS): SVGElement {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "aic-icon");
  const path = document.createElementNS(namespace, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Fits the pixels of `canvas` to its size on the page; its width and height in device pixels. */
export function fitCanvas(canvas: HTMLCanvasElement): [number, number] {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.max(Math.round(canvas.clientWidth * ratio), 1);
  const height = Math.max(Math.round(canvas.clientHeight * ratio), 1);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  return [width, height];
}

/** A colour of the theme, by the name of its CSS variable. */
export function colour(within: Element, name: string): string {
  return getComputedStyle(within).getPropertyValue(name).trim() || "currentColor";
}

/** Lets the browser save a file. */
export function saveAs(name: string, content: Blob): void {
  const link = element("a", { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Puts `text` where the next paste takes it from; whether that was allowed. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages without https have no clipboard, and frames may not use it: the old way needs a field.
    const field = element("textarea", { style: "position: fixed; opacity: 0" });
    field.value = text;
    document.body.append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    return copied;
  }
}
