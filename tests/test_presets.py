"""Each preset has the properties that its name and docs/speed.md state."""

from __future__ import annotations

from pathlib import Path

from refldm_core.diffusion.schedule import sampling_table
from refldm_core.model.variants import RELEASED
from refldm_core.pipeline import ALL_TIMESTEPS, SamplingSettings
from refldm_core.presets import PRESETS, PUBLISHED


def _predictions(settings: SamplingSettings) -> int:
    """Return the number of noise predictions for one picture with references."""
    low, high = settings.guidance_interval
    guided = settings.guidance != 1.0
    return sum(
        2 if guided and low <= t <= high else 1
        for t in sampling_table(RELEASED.noise, settings.steps, settings.spacing).timesteps
    )


def test_the_published_preset_is_the_default_and_each_later_preset_needs_fewer_predictions() -> None:
    assert PRESETS[PUBLISHED].settings == SamplingSettings()
    predictions = [_predictions(preset.settings) for preset in PRESETS.values()]
    assert predictions[0] == 100
    assert predictions == sorted(set(predictions), reverse=True)


def test_the_documentation_states_the_settings_of_each_preset() -> None:
    page = (Path(__file__).parents[1] / "docs" / "speed.md").read_text(encoding="utf-8")
    table = page[page.index("| preset | steps") :].partition("\n\n")[0].splitlines()[2:]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|"))[:3] for line in table]
    assert rows == [(name, *_cells(preset.settings)) for name, preset in PRESETS.items()]


def _cells(settings: SamplingSettings) -> tuple[str, str]:
    """Return the cells of the table with the steps and the guided timesteps."""
    low, high = settings.guidance_interval
    guided = "all" if settings.guidance_interval == ALL_TIMESTEPS else f"{low} to {high}"
    return f"{settings.steps} {settings.sampler}", guided if settings.guidance != 1.0 else "none"


def test_every_preset_runs_the_number_of_steps_that_it_states() -> None:
    for preset in PRESETS.values():
        settings = preset.settings
        assert len(sampling_table(RELEASED.noise, settings.steps, settings.spacing)) == settings.steps
