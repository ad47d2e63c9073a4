// What can be taken away: a button's menu, and the one of the right mouse button on the plots.

import type { Part } from "./controls";
import { button, copy, element, saveAs } from "./dom";
import { link } from "./format";
import { clamp } from "./frames";
import { png } from "./picture";
import type { Session } from "./session";

interface Item {
  id: string;
  label: string;
  act: () => void;
  /** Whether it can be had now. */
  ready: () => boolean;
}

/** @param vector draws what is seen as an SVG */
export function saveMenu(session: Session, root: HTMLElement, stack: HTMLElement, vector: () => Blob): Part {
  const { model } = session;
  const stem = () => model.get("name").replace(/\.[^.]*$/, "");
  const complete = () => model.get("status") === "done" && !session.kernel.missing;
  const drawn = () => session.waveform !== null;
  const items: Item[] = [
    {
      id: "csv",
      label: "Result as CSV",
      act: () => session.send({ type: "table", format: "csv" }),
      ready: complete,
    },
    {
      id: "parquet",
      label: "Result as Parquet, with errors",
      act: () => session.send({ type: "table", format: "parquet" }),
      ready: complete,
    },
    {
      id: "png",
      label: "What is seen as PNG",
      act: () => void png(stack).then((blob) => blob && saveAs(`${stem()}.png`, blob)),
      ready: drawn,
    },
    { id: "svg", label: "What is seen as SVG", act: () => saveAs(`${stem()}.svg`, vector()), ready: drawn },
    {
      id: "link",
      label: "Copy link to this moment",
      act: () => {
        const text = link(model.get("name"), model.get("selection") ?? [session.position]);
        void copy(text).then((done) => {
          session.hint = done ? `Copied ${text}` : `The browser does not let this be copied: ${text}`;
          session.changed();
        });
      },
      ready: drawn,
    },
  ];
  const entries = items.map(({ id, label, act }) => {
    const entry = element(
      "button",
      {
        type: "button",
        class: "aic-item",
        role: "menuitem",
        tabindex: -1,
        "data-testid": id,
        "aria-label": label,
      },
      label,
    );
    entry.addEventListener("click", () => {
      close();
      act();
    });
    return entry;
  });
  const menu = element(
    "div",
    { class: "aic-menu", role: "menu", "aria-label": "Save or copy", hidden: true },
    ...entries,
  );
  root.append(menu);

  const opener = button("save", "Save", "Save or copy (right mouse button on the plots)", () => {
    if (!menu.hidden) return close();
    const at = opener.getBoundingClientRect();
    open(at.right, at.top, true);
  });
  opener.setAttribute("aria-haspopup", "menu");

  /** Opens with a corner at a place of the window; `above` it where that is the button. */
  function open(x: number, y: number, above: boolean): void {
    menu.hidden = false;
    entries.forEach((entry, k) => {
      entry.disabled = !items[k].ready();
    });
    const box = root.getBoundingClientRect();
    const left = x - box.left - (above ? menu.offsetWidth : 0);
    const top = y - box.top - (above ? menu.offsetHeight + 4 : 0);
    menu.style.left = `${clamp(left, 4, Math.max(box.width - menu.offsetWidth - 4, 4))}px`;
    menu.style.top = `${clamp(top, 4, Math.max(box.height - menu.offsetHeight - 4, 4))}px`;
    opener.setAttribute("aria-expanded", "true");
    entries.find((entry) => !entry.disabled)?.focus({ preventScroll: true });
  }

  function close(): void {
    const inside = menu.contains(document.activeElement);
    menu.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    if (inside) opener.focus({ preventScroll: true });
  }

  menu.addEventListener("keydown", (event) => {
    const able = entries.filter((entry) => !entry.disabled);
    const at = able.indexOf(event.target as HTMLButtonElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 + able.length, Home: 0, End: able.length - 1 }[event.key];
    if (to !== undefined) able[to % able.length].focus();
    else if (event.key === "Escape" || event.key === "Tab") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  menu.addEventListener("focusout", (event) => {
    const next = event.relatedTarget;
    if (!(next instanceof Node) || (!menu.contains(next) && next !== opener)) close();
  });
  stack.addEventListener("contextmenu", (event) => {
    event.preventDefault();
    // JupyterLab has a menu of its own.
    event.stopPropagation();
    open(event.clientX, event.clientY, false);
  });
  const update = () => {
    opener.disabled = !drawn();
  };
  return { root: opener, update };
}
