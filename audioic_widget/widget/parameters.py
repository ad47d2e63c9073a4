"""The settings of a computation as traits: whatever sets one, here or in the browser, has it checked and computed with."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from audioic_widget.errors import AudioICError, SettingsError
from audioic_widget.settings import ICSettings
from audioic_widget.widget.traits import Traits

CONTROLS = ("preset", "noise_levels", "n_steps", "n_probes", "monte_carlo_samples")
"""Settings that can be set."""

READ_ONLY = ("solver", "divergence")
"""Settings that are shown."""


class Parameters(Traits):
    """Traits that follow `settings`, and settings that follow the traits; `others` are traits to begin with."""

    def __init__(self, settings: ICSettings, **others: Any) -> None:
        self._settings = settings
        # Traits and curves are written by the worker and by whoever sets a parameter.
        self._lock = threading.RLock()
        super().__init__(**self._shown_settings(), **others)
        self.observe(self._on_control, names=list(CONTROLS))

    @property
    def settings(self) -> ICSettings:
        """All settings in use."""
        return self._settings

    def compute(self) -> None:
        """Compute with the present settings; what runs is ended."""
        raise NotImplementedError

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Take in what the browser set; what is out of range is answered with its sentence, and all stays as it was."""
        with self._lock:
            before = {name: getattr(self, name) for name in sync_data if self.has_trait(name)}
            try:
                super().set_state(sync_data)
            except AudioICError as error:
                self._tell(**before, error=str(error))

    def _on_control(self, change: Mapping[str, Any]) -> None:
        with self._lock:
            if change["new"] == self._shown_settings()[change["name"]]:
                return  # told, not wished for: settings change before the traits that show them
            try:
                settings = self._settings.replace(**{change["name"]: change["new"]})
            except SettingsError:
                self._tell(**self._shown_settings())
                raise
            before, self._settings = self._settings.noise_levels, settings
            # A level that is new is drawn; one that was hidden stays so.
            visible = [each for each in settings.noise_levels if each in self.visible_levels or each not in before]
            if not visible and settings.noise_levels != before:
                visible = list(settings.noise_levels)
            self._tell(**self._shown_settings(), visible_levels=visible)
            self.compute()

    def _shown_settings(self) -> dict[str, Any]:
        shown = {name: getattr(self._settings, name) for name in (*CONTROLS, *READ_ONLY)}
        return {**shown, "noise_levels": list(self._settings.noise_levels)}

    def _tell(self, **values: object) -> None:
        """Set traits, one after the other."""
        with self._lock:
            for name, value in values.items():
                self.set_trait(name, value)
