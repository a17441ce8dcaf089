"""The damages of the mutation trial are made to texts that still stand in the product, and name tests that exist."""

from pathlib import Path

import pytest

from analytics_pipeline_tests.trials.damages import DAMAGES, Damage

PROJECT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("damage", DAMAGES, ids=[f"{number} of {one.path}" for number, one in enumerate(DAMAGES)])
def test_a_damage_changes_its_file_and_names_tests_that_exist(damage: Damage) -> None:
    whole = (PROJECT / damage.path).read_text(encoding="utf-8")
    assert damage.applied_to(whole) != whole
    assert all((PROJECT / test.partition("::")[0]).exists() for test in damage.tests)


def test_there_is_a_damage_and_none_is_made_twice() -> None:
    assert len(DAMAGES) > 1
    assert len({(damage.path, damage.old, damage.new) for damage in DAMAGES}) == len(DAMAGES)
