import { describe, expect, it, vi } from "vitest";
import { dashes, ink } from "../src/inks";

vi.mock("../src/dom", () => ({
  colour: (_: Element, name: string) =>
    ["#5b2ca0", "#1f5fd0", "#007a85", "#2f7d1e", "#935e00", "#a62b7e"][Number(name.slice(-1))],
}));

const page = {} as Element;

describe("colour and dashes of a noise level", () => {
  it("are those that plot.py gives", () => {
    expect([0, 0.2, 0.3, 1].map((level) => ink(level, page))).toEqual([
      "#5b2ca0",
      "#1f5fd0",
      "#106dab",
      "#a62b7e",
    ]);
    expect([0, 0.5, 1].map(dashes)).toEqual([[], [8, 5], [2, 8]]);
  });
});
