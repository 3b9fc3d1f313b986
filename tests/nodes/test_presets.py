"""The help page of ReF-LDM Sampler agrees with the presets."""

from __future__ import annotations

from refldm_core.presets import PRESETS

from .pack import PACK


def test_the_help_page_states_the_presets() -> None:
    page = (PACK / "js" / "docs" / "ReFLDM_Sampler.md").read_text(encoding="utf-8")
    table = page[page.index("| preset | steps") :].partition("\n\n")[0].splitlines()[2:]
    stated = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table]
    assert stated == [
        (
            name,
            str(preset.settings.steps),
            preset.settings.sampler,
            f"{preset.settings.guidance:g}",
            "{} to {}".format(*preset.settings.guidance_interval),
            f"{preset.settings.strength:g}" if preset.settings.strength != 1.0 else "as set",
            preset.cost,
        )
        for name, preset in PRESETS.items()
    ]
