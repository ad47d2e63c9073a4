// Whether a kernel answers. Without one there is no sound and nothing to compute with.

import type { AnyModel } from "@anywidget/types";
import type { Traits } from "./messages";

/** Milliseconds a kernel is given to answer before the page says that none does. */
const PATIENCE = 5_000;

export class Kernel {
  /** None has answered. */
  missing: boolean;
  private silence: ReturnType<typeof setTimeout> | undefined;

  /** @param changed called with what to tell the user, when it is lost or found again */
  constructor(
    private readonly model: AnyModel<Traits>,
    signal: AbortSignal,
    private readonly changed: (hint: string) => void,
  ) {
    // A page that was written to a file has none and waits for none.
    this.missing = model.get("page") !== undefined;
    if (this.missing) return;
    const react = () => this.onHost();
    model.on("comm_live_update", react);
    this.silence = setTimeout(() => this.lost("No kernel answers: this is what was saved."), PATIENCE);
    signal.addEventListener("abort", () => {
      clearTimeout(this.silence);
      model.off("comm_live_update", react);
    });
  }

  answered(): void {
    clearTimeout(this.silence);
    if (!this.missing || this.model.get("page")) return;
    this.missing = false;
    this.changed("");
  }

  /** The host has lost the kernel, or found it again: it does not say which, but first it is lost. */
  private onHost(): void {
    if (this.missing) this.model.send({ type: "ready" });
    else this.lost("The kernel has ended: this is what it had sent.");
  }

  private lost(what: string): void {
    clearTimeout(this.silence);
    this.missing = true;
    this.changed(`${what} To hear it or to change settings, run its cell in a notebook.`);
  }
}
