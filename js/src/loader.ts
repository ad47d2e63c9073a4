// What every widget brings along: a page never forgets a module, so the front end itself is loaded once a page.

import type { AnyModel } from "@anywidget/types";
import type { Traits } from "./messages";

type FrontEnd = typeof import("./index");
type Widget = ReturnType<FrontEnd["default"]>;

const page = globalThis as { audioicFrontEnds?: Map<string, Promise<FrontEnd>> };

function frontEnd(code: string): Promise<FrontEnd> {
  page.audioicFrontEnds ??= new Map();
  const known = page.audioicFrontEnds.get(code);
  if (known) return known;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const loaded = (import(url) as Promise<FrontEnd>).finally(() => URL.revokeObjectURL(url));
  page.audioicFrontEnds.set(code, loaded);
  return loaded;
}

export default () => {
  let widget: Widget;
  return {
    async initialize(made: { model: AnyModel<Traits>; signal: AbortSignal }) {
      widget = (await frontEnd(made.model.get("_front_end"))).default();
      // Closed while that was loading: nobody would end what began now.
      if (!made.signal.aborted) widget.initialize(made);
    },
    render(shown: { el: HTMLElement; signal: AbortSignal }) {
      widget.render(shown);
    },
  };
};
