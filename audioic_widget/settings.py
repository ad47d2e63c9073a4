"""How IC is computed: one frozen record that the widget, the command line and the library share."""

from __future__ import annotations

import dataclasses
import difflib
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal, SupportsIndex, get_args

from audioic_widget.errors import SettingsError

Preset = Literal["draft", "standard", "pa-audioic", "exact"]
Noising = Literal["expectation", "monte_carlo", "flow", "average"]
Context = Literal["published", "clean", "noised"]
Solver = Literal["multistep", "euler", "midpoint", "heun", "rk4", "scipy"]
Divergence = Literal["hutchinson", "exact"]
ProbeKind = Literal["rademacher", "gaussian", "orthogonal"]
Precision = Literal["auto", "bfloat16", "float32", "float64"]
AudioType = Literal["music", "voice"]
Alignment = Literal["grid", "published"]

_CLUSTERED = {"spacing": "quadratic"}
_PRESETS: dict[str, dict[str, Any]] = {
    "draft": {"solver": "multistep", "n_steps": 6, "solver_options": _CLUSTERED, "n_probes": 6},
    "standard": {"solver": "multistep", "n_steps": 16, "solver_options": _CLUSTERED, "n_probes": 8},
    "pa-audioic": {
        "solver": "euler",
        "n_steps": 100,
        "n_probes": 4,
        "probe_kind": "rademacher",
        "precision": "float32",
    },
    "exact": {
        "solver": "multistep",
        "n_steps": 24,
        "solver_options": {"spacing": "shared"},
        "divergence": "exact",
        # Rounded weights are the same at every step: their error would not average out.
        "precision": "float32",
    },
}
_COMMON: dict[str, Any] = {
    "solver_options": {},
    "divergence": "hutchinson",
    "n_probes": 4,
    "probe_kind": "orthogonal",
    "precision": "auto",
}
_SCIPY_METHODS = ("RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA")
# A field left out takes its preset's value; typed as Any so that the fields keep their real types.
_FROM_PRESET: Any = None


@dataclass(frozen=True)
class ICSettings:
    """Everything that decides the numbers, apart from the audio and the model.

    Parameters
    ----------
    preset : {"standard", "draft", "pa-audioic", "exact"}
        Fills every solver and divergence field that is not given. "pa-audioic" is the published
        procedure (Bjare et al. 2025): Euler, 100 steps, 4 fixed Rademacher probes.
    noise_levels : sequence of float in [0, 1], or one
        Noise levels s, in any order, none twice. The flow is evaluated at time t = 1 - s.
    noising : {"expectation", "monte_carlo", "flow", "average"}
        The evaluated point: the scaled latent t z; t z plus s times the mean of
        `monte_carlo_samples` normal draws; the clean latent carried down the flow's own trajectory;
        or the mean IC over `monte_carlo_samples` genuinely noised points, each with its own
        likelihood.
    monte_carlo_samples : int >= 1 or None
        Draws M for "monte_carlo" and "average". Given alone it selects "monte_carlo".
    context : {"published", "clean", "noised"}
        What the backbone is fed: what the published code feeds it in this mode (noised or scaled
        latents for "expectation" and "monte_carlo", clean ones for "flow"; clean for "average"), or
        one of the two throughout.
    solver : {"multistep", "euler", "midpoint", "heun", "rk4", "scipy"}
        Fixed-step methods of order 2, 1, 2, 2, 4, or any method of `scipy.integrate.solve_ivp`. "multistep" is the midpoint
        rule with half of its evaluations predicted from earlier steps (see `likelihood.solvers.Predictor`).
    solver_options : mapping
        Fixed steps: ``{"spacing": "uniform" | "quadratic" | "shared"}`` ("quadratic" puts more steps where
        a path starts, "shared" where data are, for the levels that start there; on either, "multistep" and "midpoint" take the middle
        of a step on the flow's own clock, see `likelihood.solvers.middles`). scipy: the keywords of `solve_ivp` (``method``, ``rtol``, ``atol``, ``max_step``).
    n_steps : int >= 1
        Steps from t down to 0 (not used by "scipy").
    divergence : {"hutchinson", "exact"}
        Randomised estimate of the Jacobian's trace, or all 64 diagonal entries.
    n_probes : int >= 1
        Probe vectors an evaluation of "hutchinson". Two or more give a standard error.
    probe_kind : {"orthogonal", "rademacher", "gaussian"}
        "rademacher" and "gaussian" stay fixed along a trajectory (as published); "orthogonal" walks
        through the rows of a randomly signed Hadamard matrix, which cancels most of the error
        (the more of its 64 rows n_steps x n_probes covers, the better; multiples of 64 are best).
    precision : {"auto", "bfloat16", "float32", "float64"}
        Number format of the solve. "bfloat16" is that of the large products alone, states and sums staying in
        float32, at a cost far below the other errors; "auto" takes it where the processor multiplies it fast, else "float32".
    audio_type : {"music", "voice"}
        How leading and trailing silence is found: by energy, or by voice activity.
    alignment : {"grid", "published"}
        Frames on the file's own grid, Time at a frame's end; or trim, rows and times of the published
        tool, 93 to 186 ms early (see `audioic_widget.alignment`).
    seed : int >= 0
        Seeds probes and draws. Same seed, same numbers, whatever the batch, chunking and order.

    Raises
    ------
    SettingsError
        If a value is out of range or two values exclude each other.

    Examples
    --------
    >>> ICSettings().n_steps
    16
    >>> settings = ICSettings(preset="pa-audioic", n_steps=50)
    >>> settings.solver, settings.spacing
    ('euler', 'uniform')
    >>> settings.replace(preset="standard").spacing
    'quadratic'
    >>> settings.to_dict()["seed"]
    0
    """

    preset: Preset = "standard"
    noise_levels: tuple[float, ...] = (0.0, 0.3, 0.6)
    noising: Noising = _FROM_PRESET
    monte_carlo_samples: int | None = None
    context: Context = "published"
    solver: Solver = _FROM_PRESET
    solver_options: Mapping[str, Any] = field(default=_FROM_PRESET, hash=False)
    n_steps: int = _FROM_PRESET
    divergence: Divergence = _FROM_PRESET
    n_probes: int = _FROM_PRESET
    probe_kind: ProbeKind = _FROM_PRESET
    precision: Precision = _FROM_PRESET
    audio_type: AudioType = "music"
    alignment: Alignment = "grid"
    seed: int = 0

    def __post_init__(self) -> None:
        _check_choice("preset", self.preset, Preset)
        for name, value in {**_COMMON, **_PRESETS[self.preset]}.items():
            if getattr(self, name) is None:
                foreign = name == "solver_options" and self.solver == "scipy"
                object.__setattr__(self, name, {} if foreign else value)
        if self.noising is None:
            drawn = self.monte_carlo_samples is not None
            object.__setattr__(self, "noising", "monte_carlo" if drawn else "expectation")
        object.__setattr__(self, "noise_levels", _checked_levels(self.noise_levels))
        if not isinstance(self.solver_options, Mapping) or not all(isinstance(key, str) for key in self.solver_options):
            raise SettingsError(f"solver_options must map names to values, not {self.solver_options!r}.")
        object.__setattr__(self, "solver_options", dict(self.solver_options))
        if self.solver in _SCIPY_METHODS:
            raise SettingsError(
                f'Methods of scipy are solver="scipy" with solver_options={{"method": "{self.solver}"}}.'
            )
        for name, choices in _CHOICES.items():
            _check_choice(name, getattr(self, name), choices)
        for name, least in (("n_steps", 1), ("n_probes", 1), ("seed", 0)):
            object.__setattr__(self, name, _checked_integer(name, getattr(self, name), least))
        self._check_draws()
        self._check_solver_options()

    def _check_draws(self) -> None:
        draws = self.monte_carlo_samples
        if draws is not None:
            object.__setattr__(self, "monte_carlo_samples", _checked_integer("monte_carlo_samples", draws, 1))
        if self.noising in ("monte_carlo", "average") and draws is None:
            raise SettingsError(f'noising="{self.noising}" needs monte_carlo_samples, a number of draws of 1 or more.')
        if self.noising in ("expectation", "flow") and draws is not None:
            raise SettingsError(
                f'noising="{self.noising}" draws no samples: leave monte_carlo_samples out, or choose '
                'noising="monte_carlo" or "average".'
            )
        if self.noising == "flow" and self.context == "noised":
            raise SettingsError(
                'noising="flow" follows one trajectory for all levels and has no noised context: use '
                'context="clean" or "published".'
            )

    def _check_solver_options(self) -> None:
        if self.solver == "scipy":
            unknown = set(self.solver_options) - _SCIPY_OPTIONS
            if unknown:
                known = ", ".join(sorted(_SCIPY_OPTIONS))
                raise SettingsError(f'solver="scipy" takes no option {sorted(unknown)[0]!r}: the options are {known}.')
            if self.probe_kind == "orthogonal" and self.divergence == "hutchinson":
                # Cycling needs steps known beforehand; an adaptive method gets fixed probes.
                object.__setattr__(self, "probe_kind", "rademacher")
            return
        unknown = set(self.solver_options) - {"spacing"}
        if unknown:
            raise SettingsError(
                f'solver="{self.solver}" takes no option {sorted(unknown)[0]!r}: the only one is "spacing".'
            )
        spacing = self.solver_options.get("spacing", "uniform")
        if spacing not in ("uniform", "quadratic", "shared"):
            raise SettingsError(f'spacing must be "uniform", "quadratic" or "shared", not {spacing!r}.')

    @property
    def spacing(self) -> str:
        """How fixed steps are spread over [0, t]: "uniform", "quadratic" or "shared"."""
        return str(self.solver_options.get("spacing", "uniform"))

    def replace(self, **changes: Any) -> ICSettings:
        """These settings with some fields changed; a new `preset` refills the fields it governs.

        Parameters
        ----------
        **changes
            Fields and their new values.

        Raises
        ------
        TypeError
            For a field that there is not.
        SettingsError
            If a value is out of range or two values exclude each other.
        """
        names = [f.name for f in dataclasses.fields(self)]
        for unknown in set(changes) - set(names):
            near = difflib.get_close_matches(unknown, names, 1)
            raise TypeError(f"There is no setting {unknown!r}{f': did you mean {near[0]!r}?' if near else '.'}")
        if "preset" in changes:
            changes = {**dict.fromkeys((*_COMMON, *_PRESETS["standard"])), **changes}
        if changes.get("solver") not in (None, self.solver):
            changes.setdefault("solver_options", None)
            if self.solver == "scipy" and self.probe_kind == "rademacher":
                changes.setdefault("probe_kind", None)
        if "monte_carlo_samples" in changes and "noising" not in changes and self.noising not in ("average", "flow"):
            changes["noising"] = None
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON values, for provenance."""
        return {**dataclasses.asdict(self), "noise_levels": list(self.noise_levels)}


_SCIPY_OPTIONS = {"method", "rtol", "atol", "first_step", "min_step", "max_step"}

_CHOICES: dict[str, Any] = {
    "noising": Noising,
    "context": Context,
    "solver": Solver,
    "divergence": Divergence,
    "probe_kind": ProbeKind,
    "precision": Precision,
    "audio_type": AudioType,
    "alignment": Alignment,
}


def _check_choice(name: str, value: object, choices: Any) -> None:
    if value not in get_args(choices):
        options = ", ".join(f'"{choice}"' for choice in get_args(choices))
        raise SettingsError(f"{name} must be one of {options}, not {value!r}.")


def _checked_integer(name: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, SupportsIndex) or operator.index(value) < least:
        raise SettingsError(f"{name} must be a whole number of {least} or more, not {value!r}.")
    return operator.index(value)


def _checked_levels(levels: Any) -> tuple[float, ...]:
    try:
        if isinstance(levels, str | bool):
            raise TypeError("neither numbers nor a list")
        several = [levels] if isinstance(levels, Real) else levels
        checked = tuple(float(level) + 0.0 for level in several)  # -0.0 is 0.0
    except (TypeError, ValueError) as error:
        raise SettingsError(f"noise_levels must be a list of numbers in [0, 1], not {levels!r}.") from error
    if not checked:
        raise SettingsError("noise_levels is empty: give at least one number in [0, 1].")
    for level in checked:
        if not (math.isfinite(level) and 0.0 <= level <= 1.0):
            raise SettingsError(f"noise level {level} is outside [0, 1].")
    if len(set(checked)) < len(checked):
        twice = next(level for level in checked if checked.count(level) > 1)
        raise SettingsError(f"noise level {twice} is given twice: give each level once.")
    return checked
