"""What the widget feels like, in numbers: ``python -m benchmarks.widget [SECTION ...]`` from the project's root.

Drives a real JupyterLab in headless Chromium, as the browser tests do, and prints a Markdown table of what was measured
beside what is aimed at. Chromium draws in software here: a page on somebody's graphics card is faster.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

import audioic_widget
from benchmarks.long_file import make
from benchmarks.machine import machine
from benchmarks.widget_lab import MB, Bench, heap, kernel, saved_size, seconds
from benchmarks.widget_sound import RATE, apart, clock, seams
from tests.browser.lab import Notebook, running_browser, running_lab

STATIC = Path(audioic_widget.__file__).parent / "widget" / "static"
LEVELS = [0.0, 0.3, 0.6]
FIVE = [0.0, 0.2, 0.4, 0.6, 0.8]

Row = tuple[str, str, str]


# A song of three minutes ---------------------------------------------------------------------------------------------


def song(bench: Bench) -> Iterator[Row]:
    """From the cell to the traces, and from a slider to the traces."""
    name = bench.song("song.wav", 3)
    notebook = bench.open(f"w = aw.AudioICWidget({name!r}); w")
    page = notebook.page
    first, complete = [], []
    for _ in range(3):
        stages = page.evaluate(
            """async (levels) => {
                const since = probe.run(1);
                const first = await probe.until((w) => probe.share(w, levels, 2) > 0, since);
                const complete = await probe.until((w) => probe.share(w, levels, 3) === 1, since, 600);
                return [first, complete];
            }""",
            LEVELS,
        )
        first.append(stages[0])
        complete.append(stages[1])
        notebook.run("w.close()")
    yield "3 min: first traces after the cell runs", seconds(first), "1.0 s"
    yield "3 min: `standard` everywhere", seconds(complete), "10 s"
    sizes = [(STATIC / name).stat().st_size for name in ("widget.js", "widget.css")]
    yield "bundle, script and style", " + ".join(f"{size / 1000:.0f}" for size in sizes) + " kB", "120 kB"

    page.evaluate("async () => probe.until((w) => w.status() === 'running', probe.run(1))")
    notebook.until("w.status() === 'done'", 600)
    for words, view in (("10 s on screen", (80.0, 90.0)), ("all on screen", None)):
        notebook.run(f"w.view = {view}")
        page.wait_for_timeout(500)
        began, drafted = [], []
        for turn in range(6):
            answer = page.evaluate(
                """async ([levels, stop]) => {
                    const before = probe.root().audioic.revision();
                    const since = performance.now();
                    probe.slide("steps", stop);
                    const began = await probe.until((w) => w.revision() > before, since);
                    const drafted = await probe.until((w) => probe.share(w, levels, 2) === 1, since);
                    return [began, drafted];
                }""",
                [LEVELS, 13 + turn % 3],
            )
            # The next turn meets a job that runs, at another place each time.
            page.wait_for_timeout(100 + 170 * turn)
            began.append(answer[0])
            drafted.append(answer[1])
        yield f"slider to a draft of what is seen, {words}", seconds(drafted), "0.4 s"
        yield "slider to the new job's begin, the old one ended", seconds(began), "0.2 s + 0.08 s of rest"
    notebook.run("w.view = (80.0, 90.0)")
    fresh = []
    for stop in (1, 2, 3, 4):  # a draft is remembered, but not of other draws
        page.wait_for_timeout(1000)
        script = f"probe.slide('monte-carlo', {stop}); const before = probe.root().audioic.revision();"
        drafted_again = "(w) => w.revision() > before && probe.share(w, levels, 2) === 1"
        fresh.append(
            page.evaluate(
                f"async (levels) => {{ const since = performance.now(); {script}"
                f" return await probe.until({drafted_again}, since); }}",
                LEVELS,
            )
        )
    yield "slider of Monte Carlo to a new draft, 10 s on screen", seconds(fresh), "0.4 s"
    ended = notebook.run(
        """
took = []
for turn in range(10):
    w.preset = "exact" if turn % 2 else "standard"
    time.sleep(0.3 + 0.13 * turn)
    begin = time.perf_counter()
    w.cancel()
    try: w.wait()
    except aw.errors.Cancelled: took.append(1000 * (time.perf_counter() - begin))
    w.n_steps = 12 + turn
print(took)"""
    )
    yield "an end asked for to the job's end, in the kernel", seconds(json.loads(ended)), "0.2 s"
    notebook.close()


# An hour -------------------------------------------------------------------------------------------------------------


def hour(bench: Bench) -> Iterator[Row]:
    """An hour of five levels with their bands: opened, moved, kept."""
    name = bench.song("hour.wav", 60)
    # One step: what is drawn is as much, and the hour of five levels is there in a minute.
    notebook = bench.open(
        f"w = aw.AudioICWidget({name!r}, noise_levels={FIVE}, preset='draft', n_steps=1); w",
        "w2 = aw.AudioICWidget(aw.example('minuet'), preset='draft'); w2",
    )
    page = notebook.page
    page.evaluate("() => jupyterapp.commands.execute('@jupyter-widgets/jupyterlab-manager:saveWidgetState')")
    empty, bare = saved_size(notebook), heap(notebook)
    opened = page.evaluate("async () => probe.until((w) => w.span()[1] > 0, probe.run(1))")
    yield "1 h: cell to waveform", seconds(opened), "3 s"
    began = page.evaluate(
        "async ([levels, opened]) => probe.until((w) => probe.share(w, levels, 2) > 0, performance.now() - opened)",
        [FIVE, opened],
    )
    yield "1 h: cell to first traces", seconds(began), ""
    notebook.until("w.status() === 'done'", 600)
    page.wait_for_timeout(3000)
    yield from frames(notebook)
    full = heap(notebook)
    yield "1 h, 5 levels: heap of the whole page", f"{full / MB:.0f} MB", "150 MB"
    yield "of that the widget's", f"{(full - bare) / MB:.0f} MB", ""
    grown = saved_size(notebook)
    yield "1 h, 5 levels: growth of the notebook, state saved", f"{(grown - empty) / 1000:.0f} kB", "300 kB"
    page.evaluate("async () => probe.until((w) => w.status() === 'done', probe.run(2))")
    page.wait_for_timeout(3000)
    yield "a second, short widget beside it", f"{(saved_size(notebook) - grown) / 1000:.0f} kB", "300 kB"
    yield "largest message", f"{page.evaluate('probe.largest()') / MB:.2f} MB", "2 MB"
    notebook.close()


def frames(notebook: Notebook) -> Iterator[Row]:
    """Frames of the screen while the wheel zooms and moves."""
    page = notebook.page
    for words, span in (("1 h", None), ("10 min", 600), ("1 min", 60), ("10 s", 10)):
        notebook.run("w.view = None" if span is None else f"w.view = (1800.0, {1800.0 + span})")
        page.wait_for_timeout(1000)
        # There and back, so that it stays near the span named.
        turns = [each * sign for each in (12, -12) for sign in (1,) for _ in range(20)] * 3
        zooming = page.evaluate("(deltas) => probe.wheel({ ctrlKey: true }, deltas)", [-each for each in turns])
        page.wait_for_timeout(500)
        moving = page.evaluate("(deltas) => probe.wheel({ shiftKey: true }, deltas)", turns)
        for what, gaps in (("zoom", zooming), ("pan", moving)):
            p50, p95 = np.percentile(gaps, [50, 95])
            yield f"1 h, 5 levels, {words} on screen: {what}, frame p50, p95", f"{p50:.1f}, {p95:.1f} ms", "20, 25 ms"


def three_hours(bench: Bench) -> Iterator[Row]:
    """Three hours: opened while browser and kernel are asked whether they still answer."""
    notebook = bench.open(f"w = aw.AudioICWidget({bench.song('long.wav', 180)!r}); w")
    page = notebook.page
    page.evaluate("() => { window.gaps = probe.watch(); }")
    page.evaluate("() => { window.since = probe.run(1); }")
    answers, begin, opened = [], time.monotonic(), 0.0
    while not opened or time.monotonic() < begin + opened + 10:
        asked = time.monotonic()
        notebook.run("1")
        answers.append(1000 * (time.monotonic() - asked))
        if not opened and page.evaluate("() => probe.root()?.audioic?.span()[1] > 0"):
            opened = time.monotonic() - begin
        page.wait_for_timeout(50)
    gaps = page.evaluate("() => window.gaps()")
    yield "3 h: cell to waveform", seconds(1000 * opened), ""
    yield "3 h: kernel's longest silence until 10 s after that", seconds(max(answers)), ""
    yield "3 h: page's longest frame until then", seconds(max(gaps)), ""
    notebook.run("w.view = (9000.0, 9060.0); w.current_time = 9000.0; w.playing = True")
    notebook.until("w.state() === 'playing' && w.position() > 9001")
    yield (
        "3 h: largest message, playing in the last hour included",
        f"{page.evaluate('probe.largest()') / MB:.2f} MB",
        "2 MB",
    )
    notebook.close()


# Sound ---------------------------------------------------------------------------------------------------------------


def sound(bench: Bench) -> Iterator[Row]:
    """Where the playhead is while what sounds tells when it was recorded."""
    soundfile.write(bench.lab.folder / "clock.wav", clock(70), RATE, subtype="PCM_16")
    notebook = bench.open("w = aw.AudioICWidget('clock.wav', preset='draft', noise_levels=[0.3]); w")
    page = notebook.page
    page.evaluate("async () => probe.until((w) => w.status() === 'done', probe.run(1))")
    notebook.run("w.playing = True")
    notebook.until("w.state() === 'playing'")
    for speed, length in ((1.0, 60), (0.5, 20), (2.0, 20)):
        notebook.run(f"w.speed = {speed}; w.current_time = 0.0; w.playing = True")
        notebook.until("w.state() === 'playing' && w.position() > 0.1 && w.position() < 5")
        blocks, said = listened(notebook, f"await probe.follow({length})")
        yield f"playhead beside what sounds, {length} s at {speed:g}x: p95, most", apart(blocks, said, speed), "20 ms"
    notebook.run("w.speed = 1.0; w.playing = True")
    page.evaluate("async () => { window.stop = await probe.listen(); }")
    told = []
    for place in np.random.default_rng(0).uniform(0, 60, 50):
        notebook.run(f"w.current_time = {place}")
        # What was on its way to the ear before the jump sounds on for a moment.
        notebook.until(f"w.state() === 'playing' && w.position() > {place + 0.1}")
        told += page.evaluate("async () => probe.follow(0.3)")
    blocks = np.array(page.evaluate("() => window.stop()"), float)
    yield "after 50 random seeks: p95, most", apart(blocks, np.array(told), 1.0), "20 ms"
    notebook.run("w.selection = (4.3, 5.7); w.loop = True; w.current_time = 4.3; w.playing = True")
    page.wait_for_timeout(500)
    blocks, _ = listened(notebook, "await probe.follow(10)")
    yield "loop of 1.4 s for 10 s: samples lost or repeated at its seams", f"{seams(blocks, 1.4)} (known to 1)", "0"
    notebook.close()


def listened(notebook: Notebook, script: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Blocks that sounded and what the playhead said, while `script` ran."""
    blocks, said = notebook.page.evaluate(
        f"async () => {{ const stop = await probe.listen(); const said = {script}; return [stop(), said]; }}"
    )
    return np.array(blocks, float), np.array(said, float)


# Endurance -----------------------------------------------------------------------------------------------------------


def slider(bench: Bench) -> Iterator[Row]:
    """Two hundred moves of a slider."""
    notebook = bench.open(f"w = aw.AudioICWidget({bench.song('song.wav', 3)!r}, preset='draft'); w")
    page = notebook.page
    page.evaluate("async () => probe.until((w) => w.status() === 'done', probe.run(1))")
    page.wait_for_timeout(3000)
    for _ in range(2):  # the first round fills what is remembered
        before, page_before = kernel(notebook), heap(notebook)
        page.evaluate(
            """async () => {
                for (let turn = 0; turn < 200; turn++) {
                    probe.slide("steps", 2 + (turn * 7) % 11);
                    await new Promise((resolve) => setTimeout(resolve, 100));
                }
                probe.slide("steps", 4);
            }"""
        )
        page.wait_for_timeout(400)
        notebook.until("w.status() === 'done'")
        page.wait_for_timeout(3000)
    after, page_after = kernel(notebook), heap(notebook)
    shown = np.array(notebook.ask("w.trace(0.3).ic"), float)
    code = "e = aw.compute_ic('song.wav', settings=w.settings).ic_at(0.3); print(json.dumps(e.tolist()))"
    expected = np.array(json.loads(notebook.run(code)), float)
    wrong = float(np.nanmax(np.abs(shown - expected)))
    yield "200 moves in 20 s: shown curve beside the library's, most", f"{wrong:.6f} nats", "0"
    yield "worker threads after them", str(after[1]), "1"
    yield "kernel's memory before, after", f"{before[0] / MB:.0f}, {after[0] / MB:.0f} MB", "the same"
    yield "page's heap before, after", f"{page_before / MB:.1f}, {page_after / MB:.1f} MB", "the same"
    notebook.close()


def widgets(bench: Bench, count: int = 20, rounds: int = 50) -> Iterator[Row]:
    """Many widgets, opened and closed again and again; then the same of the plainest there are, which shows the hosts' share."""
    path = bench.lab.folder / "short.wav"
    make(path, RATE, 1, "PCM_16", 3.0)
    ours = "aw.AudioICWidget('short.wav', preset='draft')", ".audioic", "root.audioic.status() === 'done'"
    plain = "__import__('ipywidgets').HTML('<b class=plain></b>')", ".plain", "true"
    for who, (made, shown, ready) in (("widgets", ours), ("plain ipywidgets", plain)):
        early, late = reopened(bench, f"ws = [{made} for _ in range({count})]", shown, ready, count, rounds)
        words = f"{count} {who} opened and closed {rounds} times"
        yield f"{words}: worker threads left", str(late[1]), "0"
        yield f"{words}: all threads after {rounds // 5}, after {rounds}", f"{early[2]}, {late[2]}", "the same"
        yield f"{words}: kernel's memory", f"{early[0] / MB:.0f}, {late[0] / MB:.0f} MB", "the same"
        yield f"{words}: page's heap", f"{early[3] / MB:.1f}, {late[3] / MB:.1f} MB", "the same"


def reopened(
    bench: Bench, cell: str, shown: str, ready: str, count: int, rounds: int
) -> list[tuple[float, int, int, float]]:
    """What kernel and page hold after a fifth of the rounds and after all: bytes, worker threads, threads; bytes of the page."""
    notebook = bench.open(f"{cell}\nfor each in ws: display(each)")
    page = notebook.page
    kept = []
    for turn in range(rounds):
        page.evaluate("() => void probe.run(1)")
        page.wait_for_function(
            f"""() => {{
                const all = [...document.querySelectorAll("{shown}")];
                return all.length === {count} && all.every((root) => {ready});
            }}""",
            timeout=600_000,
        )
        notebook.run("for each in ws: each.close()\nws = []")
        page.wait_for_function(f"() => document.querySelectorAll('{shown}').length === 0")
        if turn in (rounds // 5, rounds - 1):
            page.wait_for_timeout(2000)
            kept.append((*kernel(notebook), heap(notebook)))
    notebook.close()
    return kept


SECTIONS: dict[str, Callable[..., Iterator[Row]]] = {
    each.__name__: each for each in (song, hour, three_hours, sound, slider, widgets)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all if none is named"
    )
    chosen = parser.parse_args().sections or list(SECTIONS)
    unknown = set(chosen) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}: there are {', '.join(SECTIONS)}")
    with tempfile.TemporaryDirectory() as home, running_lab(Path(home)) as lab, running_browser() as browser:
        where = machine("jupyterlab", "ipywidgets", "anywidget")
        print(f"{where}; Chromium {browser.version}, headless, drawing in software.\n")
        print("| what | measured | aim |\n|---|---|---|")
        bench = Bench(lab, browser)
        for name in chosen:
            for row in SECTIONS[name](bench):
                print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
