"""Presets are what they are called, and what docs/speed.md says they are."""

from __future__ import annotations

from pathlib import Path

from refldm_core.diffusion.schedule import sampling_table
from refldm_core.model.variants import RELEASED
from refldm_core.pipeline import ALL_TIMESTEPS, SamplingSettings
from refldm_core.presets import PRESETS, PUBLISHED


def _predictions(settings: SamplingSettings) -> int:
    """Rows that the network computes for one guided picture."""
    low, high = settings.guidance_interval
    guided = settings.guidance != 1.0
    return sum(
        2 if guided and low <= t <= high else 1
        for t in sampling_table(RELEASED.noise, settings.steps, settings.spacing).timesteps
    )


def test_published_is_the_default_and_each_next_one_computes_less() -> None:
    assert PRESETS[PUBLISHED].settings == SamplingSettings()
    work = [_predictions(preset.settings) for preset in PRESETS.values()]
    assert work[0] == 100
    assert work == sorted(set(work), reverse=True)


def test_the_documentation_states_them() -> None:
    page = (Path(__file__).parents[1] / "docs" / "speed.md").read_text(encoding="utf-8")
    table = page[page.index("| preset | steps") :].partition("\n\n")[0].splitlines()[2:]
    told = [tuple(cell.strip() for cell in line.strip("|").split("|"))[:3] for line in table]
    assert told == [(name, *_in_words(preset.settings)) for name, preset in PRESETS.items()]


def _in_words(settings: SamplingSettings) -> tuple[str, str]:
    low, high = settings.guidance_interval
    guided = "all" if settings.guidance_interval == ALL_TIMESTEPS else f"{low} to {high}"
    return f"{settings.steps} {settings.sampler}", guided if settings.guidance != 1.0 else "none"


def test_no_preset_runs_more_steps_than_it_says() -> None:
    for preset in PRESETS.values():
        settings = preset.settings
        assert len(sampling_table(RELEASED.noise, settings.steps, settings.spacing)) == settings.steps
