// What `benchmarks/widget.py` measures with inside the page: runs before the notebook's own scripts.
window.probe = (() => {
  /** Bytes of the largest message the kernel has sent. */
  let largest = 0;
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(...all) {
      super(...all);
      this.addEventListener("message", ({ data }) => {
        largest = Math.max(largest, data.byteLength ?? data.size ?? data.length);
      });
    }
  };

  const frame = () => new Promise(requestAnimationFrame);
  const root = () => [...document.querySelectorAll(".audioic")].at(-1);

  /** Waits until `test(view, root)` holds and what it saw is painted; milliseconds since `since`. */
  async function until(test, since, seconds = 60) {
    for (;;) {
      const now = root();
      if (now?.audioic && test(now.audioic, now)) break;
      if (performance.now() - since > 1000 * seconds) throw new Error(`Not within ${seconds} s: ${test}`);
      await frame();
    }
    await frame();
    return performance.now() - since;
  }

  /** Runs the cell at a place; when that was. */
  function run(cell) {
    const panel = window.jupyterapp.shell.currentWidget;
    panel.content.activeCellIndex = cell;
    const since = performance.now();
    void window.jupyterapp.commands.execute("notebook:run-cell");
    return since;
  }

  /** Share of the frames on screen, of all `levels`, that are a draft (2) or final (3) at least. */
  function share(view, levels, stage) {
    const [start, end] = view.span();
    let [ready, all] = [0, 0];
    for (const level of levels) {
      const states = view.states(level);
      if (!states) return 0;
      // The first sounding frame has no value; so have silent ones.
      for (let k = Math.floor((start * 44100) / 4096) + 1; k < Math.min((end * 44100) / 4096, states.length - 1); k++) {
        all++;
        if ((states[k] & 7) >= stage) ready++;
      }
    }
    return all ? ready / all : 0;
  }

  /** Gaps between frames of the screen, in ms, until `stop()` gives them. */
  function watch() {
    const gaps = [];
    let last = performance.now();
    let going = true;
    const tick = () => {
      const now = performance.now();
      gaps.push(now - last);
      last = now;
      if (going) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
    return () => {
      going = false;
      return gaps;
    };
  }

  /** Gaps between frames while the wheel turns by `deltas`, one a frame; `keys` are those held. */
  async function wheel(keys, deltas) {
    const stack = root().querySelector(".aic-stack");
    const box = stack.getBoundingClientRect();
    const clientX = box.left + 0.4 * box.width;
    const gaps = [];
    await frame();
    let last = await frame();
    for (const deltaY of deltas) {
      stack.dispatchEvent(new WheelEvent("wheel", { deltaY, clientX, bubbles: true, cancelable: true, ...keys }));
      const now = await frame();
      gaps.push(now - last);
      last = now;
    }
    return gaps;
  }

  function slide(id, value) {
    const slider = root().querySelector(`[data-testid=${id}]`);
    slider.value = value;
    slider.dispatchEvent(new Event("input"));
  }

  /** Keeps what comes out of the player: `[frame on the audio clock, first sample]` of every block of 128. */
  async function listen() {
    const tap = root().audioic.tap();
    const source = `registerProcessor("blocks", class extends AudioWorkletProcessor {
      process([input]) {
        if (input[0]) this.port.postMessage([currentFrame, input[0][0], input[0][127]]);
        return true;
      }
    });`;
    const module = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    await tap.context.audioWorklet.addModule(module);
    const node = new AudioWorkletNode(tap.context, "blocks");
    const blocks = [];
    node.port.onmessage = ({ data }) => blocks.push(data);
    tap.connect(node);
    return () => {
      tap.disconnect(node);
      return blocks;
    };
  }

  /** What the playhead said, `[audio clock, way to the ear, position]`, at every frame of the screen. */
  async function follow(seconds) {
    const view = root().audioic;
    const { context } = view.tap();
    const said = [];
    const begin = performance.now();
    while (performance.now() - begin < 1000 * seconds) {
      await frame();
      if (view.state() === "playing")
        said.push([context.currentTime, context.outputLatency || 0, view.position()]);
    }
    return said;
  }

  return { until, run, share, watch, wheel, slide, listen, follow, frame, root, largest: () => largest };
})();
