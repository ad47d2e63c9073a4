"""A real JupyterLab and a real browser, for tests, screenshots and benchmarks."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Locator, Page, sync_playwright

import audioic_widget

TOKEN = "tests"
PACKAGE = str(Path(audioic_widget.__file__).parents[1])
START_SECONDS = 90


@dataclass(frozen=True)
class Lab:
    """A running server and the folder it shows."""

    url: str
    folder: Path


@contextmanager
def running_lab(home: Path) -> Iterator[Lab]:
    """A server of its own, with settings and notebooks under `home`."""
    folder = home / "work"
    settings = home / "settings"
    for made in (folder, settings):
        made.mkdir()
    overrides = home / "share" / "lab" / "settings"
    overrides.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = settings / "@jupyterlab" / "apputils-extension"
    quiet.mkdir(parents=True)
    (quiet / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false"}))
    environment = {
        **os.environ,
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "IPYTHONDIR": str(home / "ipython"),
        # The kernel works in another folder, and is to use the package that is under test.
        "PYTHONPATH": PACKAGE,
    }
    log = (home / "lab.log").open("w")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [f"--ServerApp.root_dir={folder}", f"--IdentityProvider.token={TOKEN}", "--expose-app-in-browser"]
    command += ["--JupyterNotebookApp.expose_app_in_browser=True"]
    server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        answers(f"{url}/api?token={TOKEN}", server, home / "lab.log")
        yield Lab(url, folder)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()


def answers(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server that was just started answers at `url`."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except (urllib.error.URLError, OSError) as error:
            if server.poll() is not None or time.monotonic() > deadline:
                server.kill()
                raise RuntimeError("The server did not start:\n" + log.read_text()) from error
            time.sleep(0.2)


def until(widget: Locator, expression: str, seconds: float = 60) -> None:
    """Wait until `expression` of the inspection object `w` of a widget is true."""
    deadline = time.monotonic() + seconds
    while not widget.evaluate(f"(root) => {{ const w = root.audioic; return Boolean({expression}); }}"):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {expression}"
        widget.page.wait_for_timeout(50)


@contextmanager
def running_browser() -> Iterator[Browser]:
    """The system's Chromium, else Playwright's own; an error where there is none."""
    system = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=system, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        try:
            yield running
        finally:
            running.close()


@dataclass(frozen=True)
class Notebook:
    """An open notebook whose cells have run."""

    page: Page
    path: Path

    @property
    def widget(self) -> Locator:
        """The first widget on the page."""
        return self.page.locator(".audioic").first

    def ask(self, expression: str) -> object:
        """A value of the view's inspection object, which is `w` in `expression`."""
        return self.widget.evaluate(f"(root) => {{ const w = root.audioic; return {expression}; }}")

    def until(self, expression: str, seconds: float = 60) -> None:
        """Wait until `expression` of the inspection object `w` is true."""
        script = f"() => {{ const w = document.querySelector('.audioic')?.audioic; return w && ({expression}); }}"
        self.page.wait_for_function(script, timeout=1000 * seconds)

    def run_last_cell(self) -> None:
        """Run the cells again after the widget was closed."""
        self.widget.wait_for(state="detached")
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
        self.widget.wait_for()

    def run(self, code: str) -> str:
        """Run `code` in the kernel; what it printed."""
        return str(
            self.page.evaluate(
                """async (code) => {
                    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                    const future = kernel.requestExecute({ code });
                    let text = "";
                    future.onIOPub = (message) => {
                        if (message.header.msg_type === "stream") text += message.content.text;
                        if (message.header.msg_type === "error") text += message.content.evalue;
                    };
                    await future.done;
                    return text;
                }""",
                code,
            )
        )

    def says(self, code: str, expected: str) -> None:
        """Wait until `code` prints `expected` in the kernel."""
        end = time.monotonic() + 20
        while (said := self.run(code).strip()) != expected and time.monotonic() < end:
            self.page.wait_for_timeout(100)
        assert said == expected

    def close(self) -> None:
        """End kernel and page."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        self.page.context.close()


def open_notebook(
    lab: Lab,
    browser: Browser,
    *cells: str,
    theme: str = "JupyterLab Light",
    size: tuple[int, int] = (1280, 900),
    script: str = "",
) -> Notebook:
    """A notebook of `cells`, opened and run; `script` runs in the page before anything else."""
    path = lab.folder / f"notebook{time.time_ns()}.ipynb"
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(document, path)
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    context.add_init_script(script)
    page = context.new_page()
    page.goto(f"{lab.url}/lab/tree/{path.name}?token={TOKEN}&reset")
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.ready")
    page.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    return Notebook(page, path)
