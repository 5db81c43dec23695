"""What adapters say when they can't be imported; tests/packaging tries it without the frameworks."""

import importlib

import pytest

from meshguard.integrations import needs


@pytest.mark.parametrize("missing", ["nowhere", "nowhere.adk"])
def test_a_missing_framework_or_the_package_it_is_in_is_named_by_its_extra(missing: str) -> None:
    with (
        pytest.raises(ModuleNotFoundError, match=r"pip install 'meshguard\[some-extra\]'") as caught,
        needs("nowhere.adk", "some-extra"),
    ):
        raise ModuleNotFoundError(name=missing)
    assert caught.value.name == missing


@pytest.mark.parametrize("missing", ["json.nothing", "jso", "nowhere"])
def test_what_is_missing_beside_or_inside_of_a_framework_comes_out_as_it_is(missing: str) -> None:
    with (
        pytest.raises(ModuleNotFoundError, match=f"No module named '{missing}'"),
        needs("json", "some-extra"),
    ):
        importlib.import_module(missing)
