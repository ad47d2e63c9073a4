import { describe, expect, it } from "vitest";
import { link } from "../src/format";

describe("link", () => {
  it("is a media fragment with a moment or a span, and a name that ends where it should", () => {
    expect(link("song.wav", [12.341, 15])).toBe("song.wav#t=12.34,15.00");
    expect(link("my #1 <song>.wav", [3])).toBe("my%20%231%20%3Csong%3E.wav#t=3.00");
  });
});
