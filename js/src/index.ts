// What the loader loads: one session a widget, any number of views.

import type { AnyModel } from "@anywidget/types";
import type { Traits } from "./messages";
import { Session } from "./session";
import { mount } from "./view";
import "uplot/dist/uPlot.min.css";
import "./style.css";

export default () => {
  let session: Session;
  return {
    initialize({ model, signal }: { model: AnyModel<Traits>; signal: AbortSignal }) {
      session = new Session(model, signal);
    },
    render({ el, signal }: { el: HTMLElement; signal: AbortSignal }) {
      session.viewed(signal);
      mount(session, el, signal);
    },
  };
};
