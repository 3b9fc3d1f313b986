"""Every language has every text of the nodes. Names, numbers and values that a user types stay as they are."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from .locales import LOCALES, Texts, english_json, locale_path, read_texts
from .schemas import HOST_MODULES, PACK_NAME, Schema, read_schemas

TRANSLATIONS = ("zh", "ja", "ko", "fr", "de", "es", "ru")

SAME_EVERYWHERE = {"cfg", "vae", "dtype", "ReF-LDM Sampler"}
"""Texts that no language has to translate."""
SAME_IN = {
    "fr": {"image", "images", "latent", "photos", "sigmas"},
    "es": {"sigmas"},
}
"""Language -> further English words that are words of that language too."""

HOST_NODES = (
    "Detect Face Landmarks",
    "Create Bounding Boxes",
    "Load Video",
    "SamplerCustomAdvanced",
    "SamplerCustom",
    "CFGGuider",
)
"""ComfyUI's own nodes. They stay English, since their translations differ between versions of ComfyUI."""
NAMES = ("refldm", "facexlib", "euler", *HOST_NODES)
"""Words without a mark of a name that stay as they are."""
MARKED_NAME = re.compile(
    r"`[^`]+`"  # commands
    r"|--[\w-]+|\(?[\w.]*\.(?:ckpt|safetensors|onnx)\b"  # start flags and files
    r"|\b[\w-]*[A-Z][\w-]*[A-Z][\w-]*"  # two capitals: MODEL, LoRA, ReF-LDM
)
UNDERSCORED = re.compile(r"\b[a-z0-9]+(?:_[a-z0-9.]+)+\b")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
QUOTED = re.compile(r'"([^"]+)"')
MARKS_OF_THE_PAGE = "{}@|"
"""Characters with which the page's library for translations marks variables, links and plural forms."""

Path = tuple[str, ...]


def _paths(texts: Texts, start: Path = ()) -> Iterator[tuple[Path, str]]:
    for key, value in texts.items():
        if isinstance(value, dict):
            yield from _paths(value, (*start, key))
        else:
            yield (*start, key), value


def _contains_word(text: str, word: str) -> bool:
    """Return whether a text contains a word that is no part of a longer ASCII word. Chinese has no spaces."""
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(word)}(?![A-Za-z0-9_])", text) is not None


@pytest.fixture(scope="module")
def schemas() -> dict[str, Schema]:
    return {schema.node_id: schema for schema in read_schemas()}


@pytest.fixture(scope="module")
def english() -> dict[Path, str]:
    return dict(_paths(read_texts("en")))


@pytest.fixture(params=TRANSLATIONS)
def language(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def translated(language: str) -> dict[Path, str]:
    return dict(_paths(read_texts(language)))


def test_english_equals_the_schemas() -> None:
    written = locale_path("en").read_bytes().decode("utf-8")
    assert written == english_json(), "run python -m tests.nodes.locales, and translate what changed"


def test_schemas_are_read_without_traces() -> None:
    """Other tests must neither see the stand-ins for ComfyUI nor the pack that was loaded with them."""
    import sys

    before = {name for name in sys.modules if name.partition(".")[0] in (*HOST_MODULES, PACK_NAME)}
    assert len(read_schemas()) >= 19
    assert {name for name in sys.modules if name.partition(".")[0] in (*HOST_MODULES, PACK_NAME)} == before


def test_the_folder_holds_the_tested_languages_only() -> None:
    assert {path.name for path in LOCALES.iterdir() if path.is_dir()} == {"en", *TRANSLATIONS}


def test_files_are_utf_8_json_in_one_layout() -> None:
    """One layout, so that a translation lies on the same line as its English text."""
    for language in ("en", *TRANSLATIONS):
        content = locale_path(language).read_bytes()
        layout = json.dumps(json.loads(content), ensure_ascii=False, indent=2) + "\n"
        assert content == layout.encode("utf-8"), language


def test_keys_and_their_order_are_those_of_english(translated: dict[Path, str], english: dict[Path, str]) -> None:
    assert list(translated) == list(english)


def test_no_text_is_empty_or_padded(translated: dict[Path, str]) -> None:
    assert {path: text for path, text in translated.items() if not text or text != text.strip()} == {}


def test_texts_hold_no_marks_that_the_page_interprets(translated: dict[Path, str], english: dict[Path, str]) -> None:
    for texts in (english, translated):
        assert {path: text for path, text in texts.items() if set(MARKS_OF_THE_PAGE) & set(text)} == {}


def test_every_text_is_translated(language: str, translated: dict[Path, str], english: dict[Path, str]) -> None:
    equal = {text for path, text in translated.items() if text == english[path]}
    assert equal - SAME_EVERYWHERE == SAME_IN.get(language, set())


def test_equal_texts_have_equal_translations(translated: dict[Path, str], english: dict[Path, str]) -> None:
    translations: dict[str, set[str]] = {}
    for path, text in english.items():
        translations.setdefault(text, set()).add(translated[path])
    assert {text: found for text, found in translations.items() if len(found) > 1} == {}


def test_numbers_are_preserved(translated: dict[Path, str], english: dict[Path, str]) -> None:
    """With a decimal point, as the widgets show them."""
    for path, text in english.items():
        assert Counter(NUMBER.findall(translated[path])) == Counter(NUMBER.findall(text)), path


def test_quoted_values_are_preserved(translated: dict[Path, str], english: dict[Path, str]) -> None:
    for path, text in english.items():
        for value in QUOTED.findall(text):
            assert value in translated[path], path


def test_names_are_preserved(translated: dict[Path, str], english: dict[Path, str], schemas: dict[str, Schema]) -> None:
    nodes = {schema.display_name for schema in schemas.values()}
    for path, text in english.items():
        if path[-1] == "name" or path[-1] == "display_name":
            continue
        prose = text
        for name in nodes:
            prose = prose.replace(name, "")
        names = {*MARKED_NAME.findall(prose), *(name for name in NAMES if _contains_word(prose, name))}
        assert {name for name in names if not _contains_word(translated[path], name)} == set(), path


def test_option_values_are_preserved(
    translated: dict[Path, str], english: dict[Path, str], schemas: dict[str, Schema]
) -> None:
    for schema in schemas.values():
        for item in schema.inputs:
            path = (schema.node_id, "inputs", item.id, "tooltip")
            for option in item.options:
                if path in english and _contains_word(english[path], option):
                    assert _contains_word(translated[path], option), (path, option)


def test_options_that_a_text_sets_are_preserved(translated: dict[Path, str], english: dict[Path, str]) -> None:
    for path, text in english.items():
        for option in re.findall(r"\bset to (\w+)", text):
            assert _contains_word(translated[path], option), path


def test_node_names_in_texts_are_the_translated_names(
    translated: dict[Path, str], english: dict[Path, str], schemas: dict[str, Schema]
) -> None:
    for path, text in english.items():
        for node_id, schema in schemas.items():
            if path[-1] in ("description", "tooltip") and schema.display_name in text:
                assert translated[(node_id, "display_name")] in translated[path], path


def test_input_names_in_texts_are_the_translated_names(translated: dict[Path, str], english: dict[Path, str]) -> None:
    """Names with "_" are checked, because they are no English words. Others, such as folders, stay as they are."""
    for path, text in english.items():
        if path[-1] not in ("description", "tooltip"):
            continue
        for name in UNDERSCORED.findall(text):
            shown = translated.get((path[0], "inputs", name, "name"), name)
            assert shown in translated[path], (path, name)
