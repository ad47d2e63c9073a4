import type { AnyModel } from "@anywidget/types";
import { afterEach, describe, expect, it, vi } from "vitest";
import loader from "../src/loader";
import type { Traits } from "../src/messages";

const page = globalThis as { audioicFrontEnds?: unknown };

describe("loader", () => {
  afterEach(() => {
    page.audioicFrontEnds = undefined;
  });

  it("begins nothing for a widget that was closed while the code was loading", async () => {
    const initialize = vi.fn();
    page.audioicFrontEnds = new Map([["code", Promise.resolve({ default: () => ({ initialize }) })]]);
    const model = { get: () => "code" } as unknown as AnyModel<Traits>;
    const open = new AbortController();
    await loader().initialize({ model, signal: open.signal });
    expect(initialize).toHaveBeenCalledOnce();
    const closed = new AbortController();
    const loading = loader().initialize({ model, signal: closed.signal });
    closed.abort();
    await loading;
    expect(initialize).toHaveBeenCalledOnce();
  });
});
