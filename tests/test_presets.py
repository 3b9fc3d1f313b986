"""Each preset has the properties that its name and docs/speed.md state."""

from __future__ import annotations

from pathlib import Path

from refldm_core.diffusion.schedule import SamplingTable, sampling_table
from refldm_core.model.variants import RELEASED
from refldm_core.pipeline import ALL_TIMESTEPS, SamplingSettings
from refldm_core.presets import PRESETS, PUBLISHED, Preset


def _predictions(settings: SamplingSettings) -> int:
    """Return the number of noise predictions for one picture with references."""
    low, high = settings.guidance_interval
    guided = settings.guidance != 1.0
    return sum(2 if guided and low <= t <= high else 1 for t in _table(settings).timesteps)


def _table(settings: SamplingSettings) -> SamplingTable:
    return sampling_table(RELEASED.noise, settings.steps, settings.spacing, settings.strength)


def test_the_published_preset_is_the_default_and_each_later_preset_needs_fewer_predictions() -> None:
    assert PRESETS[PUBLISHED].settings == SamplingSettings()
    predictions = [_predictions(preset.settings) for preset in PRESETS.values()]
    assert predictions[0] == 100
    assert predictions == sorted(set(predictions), reverse=True)


def test_the_documentation_states_the_settings_of_each_preset() -> None:
    page = (Path(__file__).parents[1] / "docs" / "speed.md").read_text(encoding="utf-8")
    table = page[page.index("| preset | steps") :].partition("\n\n")[0].splitlines()[2:]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|"))[:4] for line in table]
    assert rows == [(name, *_cells(preset.settings)) for name, preset in PRESETS.items()]


def _cells(settings: SamplingSettings) -> tuple[str, str, str]:
    """Return the cells of the table with the steps, the guided timesteps and the strength."""
    low, high = settings.guidance_interval
    guided = "all" if settings.guidance_interval == ALL_TIMESTEPS else f"{low} to {high}"
    guided = guided if settings.guidance != 1.0 else "none"
    return f"{settings.steps} {settings.sampler}", guided, f"{settings.strength:g}"


def test_every_preset_runs_the_number_of_steps_that_it_states() -> None:
    for preset in PRESETS.values():
        settings = preset.settings
        assert len(_table(settings)) == settings.steps


def test_only_touch_up_starts_from_the_picture_and_it_keeps_most_of_it() -> None:
    strengths = {name: preset.settings.strength for name, preset in PRESETS.items()}
    assert 0.0 < strengths.pop("touch-up") <= 0.5
    assert set(strengths.values()) == {1.0}


def test_a_preset_is_described_with_its_strength() -> None:
    touched = Preset(SamplingSettings(steps=1, strength=0.25), "a cost")
    assert str(touched) == "1 ddim step, guidance 1.5, strength 0.25 (a cost)"
