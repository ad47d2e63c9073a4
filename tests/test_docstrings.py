"""Every public name says what it is: a NumPy docstring with parameters, shapes, what is raised, and an example that runs."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from types import FunctionType
from typing import Any

import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

import audioic_widget
from audioic_widget import errors

PUBLIC = (
    "audioic_widget",
    "audioic_widget.corpus",
    "audioic_widget.formats",
    "audioic_widget.validation",
)
"""Packages whose `__all__` is public, and with it the methods and properties of its classes."""

FORM = {
    "GL06",  # an unknown section
    "GL07",  # sections in another order
    "GL08",  # no docstring
    "SS01",  # no summary
    "SS03",  # a summary without a period
    "PR02",  # a parameter that is not there
    "PR06",  # "string" for str and the like
}
"""Checks of numpydoc; the others are about wording, or done below with more room for short docstrings."""

SHAPE = re.compile(r"\(\w[\w \-+*.]*,[\w \-+*.,]*\)")


class Name:
    """A public name: a function, class, method or property."""

    def __init__(self, path: str, value: Any, owner: Any = None) -> None:
        self.path, self.value, self.owner = path, value, owner

    @cached_property
    def doc(self) -> str:
        return inspect.getdoc(self.value) or ""

    @cached_property
    def function(self) -> FunctionType | None:
        """What is called, for classes their `__init__` if it is their own."""
        value = self.value
        if isinstance(value, property):
            value = value.fget
        if inspect.isclass(value):
            value = vars(value).get("__init__")
        value = inspect.unwrap(getattr(value, "__func__", value)) if value is not None else None
        # A dataclass's __init__ has no source: its fields are attributes or parameters in the docstring.
        return value if isinstance(value, FunctionType) and "<string>" not in value.__code__.co_filename else None

    @cached_property
    def parameters(self) -> list[str]:
        if self.function is None:
            return []
        names = list(inspect.signature(self.function).parameters)
        return [name for name in names if name not in ("self", "cls")]

    @cached_property
    def raised(self) -> set[str]:
        """Errors raised in its own body."""
        if self.function is None:
            return set()
        nodes = list(ast.walk(ast.parse(textwrap.dedent(inspect.getsource(self.function)))))
        # What is raised within `try` is caught there, and becomes another error.
        caught = {each for node in nodes if isinstance(node, ast.Try) for part in node.body for each in ast.walk(part)}
        raised = (node.exc for node in nodes if isinstance(node, ast.Raise) and node not in caught)
        return {call.func.id for call in raised if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)}

    @cached_property
    def gives_array(self) -> bool:
        if self.function is None or inspect.isclass(self.value):
            return False
        return bool(re.search(r"NDArray|Floats|Tensor", str(self.function.__annotations__.get("return", ""))))


def public_names() -> Iterator[Name]:
    for package in PUBLIC:
        module = import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value):
                yield Name(f"{package}.{name}", value)
                yield from members(f"{package}.{name}", value)
            elif callable(value):
                yield Name(f"{package}.{name}", value)


def members(path: str, owner: type) -> Iterator[Name]:
    """Public methods and properties that the class defines itself, apart from those it inherits the meaning of."""
    inherited = {name for base in owner.__mro__[1:] for name in vars(base)}
    for name, value in vars(owner).items():
        method = getattr(value, "__func__", value)
        method = method.func if isinstance(method, cached_property) else method
        if not name.startswith("_") and name not in inherited and isinstance(method, FunctionType | property):
            yield Name(f"{path}.{name}", method, owner)


NAMES = list({id(name.value): name for name in public_names()}.values())
each_name = pytest.mark.parametrize("name", NAMES, ids=[name.path.removeprefix("audioic_widget.") for name in NAMES])


@each_name
def test_form(name: Name) -> None:
    # What `**fields` takes is described under Other Parameters, which numpydoc compares with the signature.
    wanted = FORM - {"PR02"} if "Other Parameters" in name.doc else FORM
    assert [f"{code}: {text}" for code, text in validate(name.path)["errors"] if code in wanted] == []


@each_name
def test_parameters_are_described(name: Name) -> None:
    """In the section Parameters, or by name in the text of a short docstring."""
    missing = [each for each in name.parameters if not re.search(rf"`{each}\b|^\**{each}\b", name.doc, re.MULTILINE)]
    parsed = NumpyDocString(name.doc)
    listed = {each for row in (*parsed["Parameters"], *parsed["Attributes"]) for each in row.name.split(", ")}
    assert not [each for each in missing if each not in listed]


@each_name
def test_arrays_have_shapes(name: Name) -> None:
    assert not name.gives_array or SHAPE.search(name.doc), "Say the shape: ``(L, F)``."


@each_name
def test_errors_are_named(name: Name) -> None:
    """By their own name or that of a kind they belong to."""
    for raised in name.raised:
        kinds = getattr(errors, raised, getattr(builtins, raised, None)).__mro__
        names = [kind.__name__ for kind in kinds if kind not in (Exception, BaseException, object)]
        assert any(each in name.doc for each in names), raised


@each_name
def test_an_example_shows_it(name: Name) -> None:
    """Its own, run as a doctest or in words where it needs a notebook, or that of its class where that uses it."""
    example = ">>> " in name.doc or bool(NumpyDocString(name.doc)["Examples"])
    if name.owner is not None and not example:
        of_class = "".join(re.findall(r"(?:>>>|\.\.\.) .*", inspect.getdoc(name.owner) or ""))
        example = re.search(rf"\.{name.path.rpartition('.')[2]}\b", of_class) is not None
    assert example


def test_completion_finds_what_is_imported_when_asked_for() -> None:
    assert set(audioic_widget.__all__) <= set(dir(audioic_widget))
