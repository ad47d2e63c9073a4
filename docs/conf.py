"""Sphinx: ``make docs``. The source folder is the project's root, so that links work here as they do on GitHub."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version as version_of

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

project = "audioic-widget"
author = "audioic-widget contributors"
version = release = version_of("audioic-widget")

root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/RESULTS.md",
    "docs/**.md",
    "notebooks/0*.ipynb",
]
exclude_patterns = ["**/.*", ".*", "**/node_modules", "build", "dist"]

extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the outputs in git are checked by nbval
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]

autodoc_typehints = "none"  # types are in the docstrings, in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
default_role = "literal"

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"audioic-widget {release}"
html_copy_source = False


class CommandHelp(Directive):
    """What a command prints with ``--help``."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The text as it is."""
        command = [sys.executable, "-m", "audioic_widget", *self.arguments, "--help"]
        environment = {**os.environ, "COLUMNS": "84"}
        printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        text = "".join(letter for letter in printed if letter.isprintable() or letter == "\n")
        return [nodes.literal_block(text, text, language="text")]


def visit_math(self: HTML5Translator, node: nodes.Element) -> None:
    """Formulas as MathML, which browsers draw by themselves: no script, no network."""
    block = isinstance(node, nodes.math_block)
    self.body.append(tex2mathml(node.astext(), as_block=block))
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Register what is above."""
    app.add_directive("command-help", CommandHelp)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
