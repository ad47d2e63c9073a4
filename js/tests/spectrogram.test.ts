import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Spectrogram } from "../src/spectrogram";

/** Seconds a tile is wide where columns are not put together. */
const TILE = (1024 * 1024) / 44_100;

class Canvas {
  width = 0;
  height = 0;
  getContext() {
    return {
      createImageData: (width: number, height: number) => ({
        data: new Uint8ClampedArray(4 * width * height),
      }),
      putImageData() {},
    };
  }
}

describe("spectrogram", () => {
  beforeEach(() => vi.stubGlobal("document", { createElement: () => new Canvas() }));
  afterEach(() => vi.unstubAllGlobals());

  it("keeps the tiles that were drawn last, and asks again for others", () => {
    const asked: number[] = [];
    const mel = new Spectrogram((request) => {
      if (request.type !== "spectrogram") return;
      const { level, first, count } = request;
      asked.push(first / 1024);
      const answer = { type: "spectrogram", level, first, count, mels: 1 } as const;
      mel.take(answer, new DataView(new ArrayBuffer(count)));
    });
    mel.open(200 * TILE);
    const show = (index: number) => {
      const context = { canvas: { width: 1000, height: 80 }, clearRect() {}, drawImage() {} };
      mel.draw(context as unknown as CanvasRenderingContext2D, (index + 0.2) * TILE, (index + 0.8) * TILE);
    };
    for (let index = 0; index < 100; index++) {
      show(index);
      show(0);
    }
    expect(asked).toEqual(Array.from({ length: 100 }, (_, index) => index));
    for (const index of [0, 99, 40]) show(index);
    expect(asked).toHaveLength(100);
    show(20);
    expect(asked.slice(100)).toEqual([20]);
  });
});
