// Small helpers to make elements. Text is set as text only: names come from outside.

type Attributes = Record<string, string | number | boolean>;

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
