"""The widget as its users meet it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from playwright.sync_api import Download

from audioic_widget.formats import csv_text, read_parquet

from .lab import Lab, Notebook

pytestmark = pytest.mark.browser

IMPORT = "import audioic_widget as aw"
OPEN = "w = aw.AudioICWidget(aw.example('minuet'), preset='draft'); w"
DONE = "w.status() === 'done'"
KERNEL_TRACES = "import json; print(json.dumps({str(l): w.result.ic_at(l).tolist() for l in w.noise_levels}))"

Open = Callable[..., Notebook]


@pytest.fixture(scope="module")
def shared(open_notebook: Open) -> Notebook:
    return open_notebook(IMPORT, OPEN)


@pytest.fixture
def notebook(shared: Notebook) -> Notebook:
    """The same notebook for every test, its widget made anew."""
    shared.until(DONE)
    shared.run("w.close()")
    shared.run_last_cell()
    shared.until(DONE)
    return shared


def assert_traces_are_the_kernels(notebook: Notebook) -> None:
    kernel = json.loads(notebook.run(KERNEL_TRACES))
    assert kernel
    for level, expected in kernel.items():
        shown = notebook.ask(f"w.trace({level})")
        # NaN comes out of the page as None.
        values = np.array([np.nan if v is None else v for v in shown["ic"]])
        np.testing.assert_allclose(values, expected, rtol=1e-6)
        assert {state & 7 for state, value in zip(shown["states"], values, strict=True) if not np.isnan(value)} == {3}


def test_a_cell_shows_waveform_traces_and_model(notebook: Notebook) -> None:
    assert_traces_are_the_kernels(notebook)
    assert re.match(r"0:20 · mini · (cpu|cuda|mps)", notebook.widget.locator(".aic-about").inner_text())
    for level in ("0", "0.3", "0.6"):
        assert notebook.page.get_by_test_id(f"lane-{level}").is_visible()
    for canvas in ("waveform", "overview"):
        drawn = notebook.page.get_by_test_id(canvas).evaluate(
            "(c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 == 3 && v).length"
        )
        assert drawn > 1000, canvas


def test_charts_and_playhead_share_their_time_axis(notebook: Notebook) -> None:
    box = notebook.page.get_by_test_id("stack").bounding_box()
    plot = notebook.page.locator(".u-over").first.bounding_box()
    wave = notebook.page.get_by_test_id("waveform").bounding_box()
    assert plot["x"] == pytest.approx(wave["x"], abs=1)
    assert plot["width"] == pytest.approx(wave["width"], abs=1)
    notebook.page.mouse.click(plot["x"] + plot["width"] / 2, box["y"] + 20)
    notebook.until("Math.abs(w.position() - 10.448) < 0.05")
    notebook.page.wait_for_timeout(100)
    head = notebook.page.get_by_test_id("playhead").bounding_box()
    assert head["x"] + head["width"] / 2 == pytest.approx(plot["x"] + plot["width"] / 2, abs=1.5)
    notebook.page.wait_for_function("() => true")
    assert float(notebook.run("print(w.current_time)")) == pytest.approx(10.448, abs=0.05)
    notebook.run("w.current_time = 3.25")
    notebook.until("Math.abs(w.position() - 3.25) < 1e-6")


def test_playing_moves_the_playhead_with_the_clock(notebook: Notebook) -> None:
    notebook.page.get_by_test_id("play").click()
    notebook.until("w.state() === 'playing' && w.position() > 0.2")
    samples = notebook.widget.evaluate(
        """async (root) => {
            const out = [], start = performance.now();
            while (performance.now() - start < 5000) {
                out.push([performance.now() / 1000, root.audioic.position()]);
                await new Promise((resolve) => setTimeout(resolve, 50));
            }
            return out;
        }"""
    )
    clock, position = np.array(samples).T
    drift = (position - position[0]) - (clock - clock[0])
    assert np.abs(drift).max() < 0.05
    assert float(notebook.run("print(w.current_time)")) > 4.5
    notebook.page.get_by_test_id("play").click()
    assert notebook.ask("w.state()") == "stopped"


def test_sliders_levels_and_presets_compute_anew(notebook: Notebook) -> None:
    page = notebook.page
    before = notebook.ask("w.trace(0.3).ic[50]")
    revision = notebook.ask("w.revision()")
    page.get_by_test_id("steps").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    notebook.until(f"w.revision() > {revision} && {DONE}")
    assert notebook.run("print(w.n_steps, w.settings.n_steps)").split() == ["12", "12"]
    assert notebook.ask("w.trace(0.3).ic[50]") != before
    assert_traces_are_the_kernels(notebook)

    page.get_by_test_id("new-level").fill("0.45")
    page.get_by_test_id("add-level").click()
    notebook.until(f"w.trace(0.45) && {DONE}")
    page.get_by_test_id("remove-0").click()
    notebook.until(f"!w.trace(0) && {DONE}")
    assert notebook.run("print(w.noise_levels)").strip() == "[0.3, 0.45, 0.6]"
    assert_traces_are_the_kernels(notebook)
    page.get_by_test_id("level-0.6").click()
    page.get_by_test_id("lane-0.6").wait_for(state="detached")
    assert page.get_by_test_id("level-0.6").get_attribute("aria-pressed") == "false"

    page.get_by_test_id("preset").select_option("pa-audioic")
    notebook.until("w.status() === 'running'")
    assert notebook.run("print(w.settings.solver, w.n_steps)").split() == ["euler", "100"]
    page.get_by_test_id("cancel").click()
    notebook.until("w.status() === 'cancelled'")
    assert notebook.run("print(w.result)").strip() == "None"
    page.get_by_test_id("compute").click()
    notebook.until(DONE)
    assert_traces_are_the_kernels(notebook)


def test_a_shaken_slider_ends_in_its_last_place(notebook: Notebook) -> None:
    slider = notebook.page.get_by_test_id("steps")
    for turn in range(60):
        slider.evaluate("(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", 2 + turn % 7)
        notebook.page.wait_for_timeout(50 if turn % 10 else 150)
    slider.evaluate("(e) => { e.value = 2; e.dispatchEvent(new Event('input')); }")
    notebook.page.wait_for_timeout(400)
    notebook.until(DONE)
    assert notebook.run("print(w.n_steps)").strip() == "4"
    assert_traces_are_the_kernels(notebook)
    threads = "import threading; print(sum(t.name == 'audioic-widget' for t in threading.enumerate()))"
    assert notebook.run(threads).strip() == "1"


def test_pointer_and_keys_zoom_select_and_read_values(notebook: Notebook) -> None:
    page = notebook.page
    plot = page.locator(".u-over").first.bounding_box()
    at = lambda share: plot["x"] + share * plot["width"]  # noqa: E731
    y = plot["y"] + 30
    page.mouse.move(at(0.25), y)
    page.mouse.down()
    page.mouse.move(at(0.35), y)
    page.mouse.move(at(0.5), y)
    page.mouse.up()
    page.wait_for_timeout(300)
    start, end = json.loads(notebook.run("print(list(w.selection))"))
    assert (start, end) == (pytest.approx(5.22, abs=0.05), pytest.approx(10.45, abs=0.05))
    frame = int(10.448 * 44_100 // 4096)
    value = notebook.ask(f"w.trace(0.3).ic[{frame}].toFixed(1)")
    assert f"0.3: {value}" in page.get_by_test_id("hover").inner_text()
    notebook.widget.focus()
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)
    assert notebook.run("print(w.selection)").strip() == "None"
    window = page.locator(".aic-window")
    whole = window.bounding_box()["width"]
    page.keyboard.press("+")
    page.wait_for_timeout(200)
    assert window.bounding_box()["width"] == pytest.approx(whole / 1.6, rel=0.02)
    page.keyboard.press("End")
    notebook.until("Math.abs(w.position() - 20.94) < 0.1")


def drag(notebook: Notebook, start: float, end: float) -> None:
    """Select between two shares of the plots' width."""
    plot = notebook.page.locator(".u-over").first.bounding_box()
    y = plot["y"] + 30
    notebook.page.mouse.move(plot["x"] + start * plot["width"], y)
    notebook.page.mouse.down()
    notebook.page.mouse.move(plot["x"] + (start + end) / 2 * plot["width"], y)
    notebook.page.mouse.move(plot["x"] + end * plot["width"], y)
    notebook.page.mouse.up()


def test_units_overlay_and_smoothing_are_those_of_the_library(notebook: Notebook) -> None:
    page = notebook.page
    for unit in ("zscore", "minmax", "headroom"):
        page.get_by_test_id("unit").select_option(unit)
        kernel = json.loads(notebook.run(f"import json; print(json.dumps(w.result.normalized({unit!r}).ic.tolist()))"))
        for level, expected in zip((0, 0.3, 0.6), kernel, strict=True):
            shown = [np.nan if v is None else v for v in notebook.ask(f"w.drawn({level})")]
            np.testing.assert_allclose(shown, expected, rtol=2e-4, atol=2e-4)
    assert notebook.run("print(w.unit)").strip() == "headroom"
    page.get_by_test_id("layout").select_option("overlay")
    page.get_by_test_id("overlay").wait_for()
    assert page.get_by_test_id("lane-0.3").count() == 0
    notebook.run("w.overlay = False; w.unit = 'nats'; w.smoothing = 5")
    page.get_by_test_id("lane-0.3").wait_for()
    assert page.get_by_test_id("smoothing-value").inner_text() == "0.5 s"
    drawn, raw = notebook.ask("w.drawn(0.3)"), notebook.ask("w.trace(0.3).ic")
    assert drawn[50] == pytest.approx(np.mean(raw[48:53]), abs=1e-4)
    assert_traces_are_the_kernels(notebook)


def test_view_levels_and_playing_go_both_ways(notebook: Notebook) -> None:
    page = notebook.page
    notebook.run("w.view = (5.0, 10.0); w.visible_levels = [0.3]")
    notebook.until("w.span()[0] === 5 && w.span()[1] === 10")
    page.get_by_test_id("lane-0.6").wait_for(state="detached")
    drag(notebook, 0.2, 0.4)
    page.get_by_test_id("zoom-selection").click()
    notebook.until("Math.abs(w.span()[0] - 6) < 0.05 && Math.abs(w.span()[1] - 7) < 0.05")
    page.wait_for_timeout(500)
    assert json.loads(notebook.run("print(list(w.view))")) == pytest.approx([6, 7], abs=0.05)
    words = page.get_by_test_id("selected").inner_text()
    expected = "r = w.result.between(*w.selection).ic_at(0.3); print(f'mean {r.mean():.1f}, max {r.max():.1f}')"
    assert notebook.run(expected).strip() in words
    page.get_by_test_id("zoom-whole").click()
    page.wait_for_timeout(500)
    assert notebook.run("print(w.view)").strip() == "None"
    notebook.run("w.playing = True")
    notebook.until("w.state() === 'playing'")
    page.get_by_test_id("play").click()
    page.wait_for_timeout(300)
    assert notebook.run("print(w.playing)").strip() == "False"


RECORD = """async (root) => {
    const tap = root.audioic.tap(), context = tap.context;
    const source = `registerProcessor("keep", class extends AudioWorkletProcessor {
        process([input]) { if (input[0]) this.port.postMessage(input[0].slice()); return true; }
    });`;
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
    const node = new AudioWorkletNode(context, "keep"), out = [];
    node.port.onmessage = ({ data }) => out.push(...data);
    tap.connect(node);
    await new Promise((resolve) => setTimeout(resolve, 3500));
    tap.disconnect(node);
    return out;
}"""


def test_a_loop_sounds_without_a_gap(notebook: Notebook) -> None:
    """What comes out, sample by sample, is the selection again and again; it spans two chunks of sound."""
    notebook.run("w.selection = (4.6, 5.4); w.loop = True; w.current_time = 4.6; w.playing = True")
    notebook.until("w.state() === 'playing'")
    heard = np.array(notebook.widget.evaluate(RECORD), np.float32)
    notebook.page.get_by_test_id("play").click()
    notebook.run("w.loop = False")
    code = "from audioic_widget.audio import pcm16; r = aw.read_recording(aw.example('minuet')); import json; "
    code += "print(json.dumps(pcm16(r.samples[round(4.6 * 44100):round(5.4 * 44100)]).tolist()))"
    period = np.array(json.loads(notebook.run(code)), np.float32) / 32_768
    heard = heard[: 3 * len(period)]
    tiled = np.tile(period, 5)
    # Where in the selection the recording began; times on the audio clock round, by less than 1e-9 of a sample.
    windows = np.lib.stride_tricks.sliding_window_view(tiled, 1_000)[: len(period)]
    start = int(np.abs(windows - heard[:1_000]).max(axis=1).argmin())
    np.testing.assert_allclose(heard, tiled[start : start + len(heard)], atol=1e-9)


def test_speed_keeps_position_and_clock_together(notebook: Notebook) -> None:
    for speed in ("0.5", "2"):
        notebook.page.get_by_test_id("speed").select_option(speed)
        notebook.run("w.current_time = 2.0; w.playing = True")
        notebook.until("w.state() === 'playing' && w.position() > 2.1")
        samples = notebook.widget.evaluate(
            """async (root) => {
                const out = [], start = performance.now();
                while (performance.now() - start < 2500) {
                    out.push([performance.now() / 1000, root.audioic.position()]);
                    await new Promise((resolve) => setTimeout(resolve, 50));
                }
                return out;
            }"""
        )
        notebook.page.get_by_test_id("play").click()
        clock, position = np.array(samples).T
        drift = (position - position[0]) - float(speed) * (clock - clock[0])
        assert np.abs(drift).max() < 0.093, speed
    notebook.run("w.speed = 1.0")


def test_peaks_annotations_spectrogram_and_help(notebook: Notebook) -> None:
    page = notebook.page
    notebook.run("w.annotations = [(0, 10, '<img src=x onerror=window.broken=1>'), (12.0, 12.0, 'beat')]")
    page.get_by_test_id("annotations").wait_for()
    notebook.widget.focus()
    for key in ("s", "p", "?"):
        page.keyboard.press(key)
    page.get_by_test_id("help-panel").wait_for()
    page.keyboard.press("Escape")
    page.get_by_test_id("help-panel").wait_for(state="hidden")
    page.get_by_test_id("peak-0").wait_for()
    best = float(notebook.run("print(w.result.peaks(0.0, 1)['time'][0])"))
    page.get_by_test_id("clicks").check()
    page.get_by_test_id("peak-0").click()
    notebook.until("w.state() === 'playing'")
    # It has begun a second before its frame, and may have played for a moment.
    assert -0.05 < float(str(notebook.ask("w.position()"))) - (best - 4096 / 44_100 - 1) < 1
    page.get_by_test_id("play").click()
    bright = page.get_by_test_id("mel").evaluate(
        "(c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 == 0 && v > 150).length"
    )
    assert bright > 1000
    assert page.evaluate("() => window.broken") is None
    frames = notebook.run("print(int(w.annotation_ic()['frames'][3]))")
    assert frames.strip() == "1"


def saved_from_the_menu(notebook: Notebook, item: str) -> Download:
    notebook.page.get_by_test_id("save").click()
    with notebook.page.expect_download() as download:
        notebook.page.get_by_test_id(item).click()
    return download.value


def test_results_and_pictures_are_saved(notebook: Notebook, tmp_path: Path) -> None:
    csv = saved_from_the_menu(notebook, "csv")
    assert csv.suggested_filename == "minuet_ic.csv"
    text = notebook.run("from audioic_widget.formats import csv_text; print(csv_text(w.result), end='')")
    assert csv.path().read_text() == text
    parquet = saved_from_the_menu(notebook, "parquet")
    parquet.save_as(tmp_path / parquet.suggested_filename)
    result = read_parquet(tmp_path / "minuet_ic.parquet")
    assert csv_text(result) == text
    png = saved_from_the_menu(notebook, "png")
    assert png.suggested_filename == "minuet.png"
    assert png.path().read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    notebook.run("w.view = (5.0, 8.0)")
    notebook.until("w.span()[0] === 5")
    notebook.page.wait_for_timeout(300)
    drawing = ElementTree.fromstring(saved_from_the_menu(notebook, "svg").path().read_text())
    svg = "{http://www.w3.org/2000/svg}"
    assert drawing.findtext(f"{svg}title") == "Information content of minuet.flac"
    words = [text.text for text in drawing.iter(f"{svg}text")]
    assert {"noise level 0.3", "nats", "0:06.0"} <= set(words)
    lanes = drawing.findall(f"{svg}g")
    assert len(lanes) == 3
    # A frame is a step of the line: as many as there are in three seconds.
    lines = lanes[1].findall(f"{svg}g/{svg}path[@fill='none']")
    assert max(path.get("d", "").count("H") for path in lines) == pytest.approx(3 / 0.0929, abs=2)


def test_the_menu_is_for_mouse_and_keys_and_copies_a_link(notebook: Notebook) -> None:
    page = notebook.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    notebook.run("w.selection = (12.34, 15.0)")
    page.wait_for_timeout(300)
    page.get_by_test_id("waveform").click(button="right")
    menu = page.get_by_role("menu", name="Save or copy")
    assert menu.is_visible()
    assert page.locator(".lm-Menu").count() == 0
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.get_by_text("Copied minuet.flac#t=12.34,15.00").wait_for()
    assert page.evaluate("() => navigator.clipboard.readText()") == "minuet.flac#t=12.34,15.00"
    assert not menu.is_visible()
    page.get_by_test_id("save").click()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("() => document.activeElement.dataset.testid") == "parquet"
    page.keyboard.press("Escape")
    assert not menu.is_visible()
    assert page.evaluate("() => document.activeElement.dataset.testid") == "save"


def test_two_fingers_zoom(notebook: Notebook) -> None:
    notebook.widget.evaluate(
        """(root) => {
            const stack = root.querySelector(".aic-stack"), box = stack.getBoundingClientRect();
            stack.setPointerCapture = () => {};
            const at = (share) => box.left + 56 + share * (box.width - 68);
            const say = (type, pointerId, share) => stack.dispatchEvent(new PointerEvent(type, {
                pointerId, clientX: at(share), clientY: box.top + 20, button: 0, pointerType: "touch", bubbles: true }));
            say("pointerdown", 11, 0.45); say("pointerdown", 12, 0.55);
            say("pointermove", 11, 0.4); say("pointermove", 12, 0.6);
            say("pointerup", 11, 0.4); say("pointerup", 12, 0.6);
        }"""
    )
    start, end = notebook.ask("w.span()")
    assert end - start == pytest.approx(20.94 / 2, rel=0.05)
    assert (start + end) / 2 == pytest.approx(20.94 / 2, rel=0.05)
    notebook.run("w.view = None")


def test_a_file_that_cannot_be_read_shows_its_sentence(open_notebook: Open, lab: Lab) -> None:
    name = "<img src=x onerror=window.broken=1>.wav"
    (lab.folder / name).write_bytes(b"no sound")
    notebook = open_notebook(IMPORT, f"w = aw.AudioICWidget({name!r}); w")
    notebook.until("w.status() === 'error'")
    alert = notebook.page.get_by_test_id("error")
    assert alert.get_attribute("role") == "alert"
    assert (
        alert.inner_text()
        == f"{name} cannot be read as audio: give a wav, flac, ogg, opus, mp3 or aiff file that is whole."
    )
    assert notebook.page.evaluate("() => window.broken") is None
    assert notebook.widget.locator("img").count() == 0
