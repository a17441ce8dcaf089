"""What of a description makes days others, and what does not."""

from datetime import date

from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.transforms.version import rules_of
from analytics_pipeline_tests.unit.transforms.conftest import shop


def with_field(described: Shop, name: str, path: str) -> Shop:
    fields = described.orders.fields.model_copy(update={name: path})
    return described.model_copy(update={"orders": described.orders.model_copy(update={"fields": fields})})


def test_another_mapping_maps_the_days_anew_and_cuts_none() -> None:
    before, after = rules_of(shop()), rules_of(with_field(shop(), "country", "land"))
    assert after.mapping != before.mapping
    assert (after.cut, after.timezone, after.currency) == (before.cut, before.timezone, before.currency)


def test_another_moment_of_the_order_cuts_the_days_anew() -> None:
    assert rules_of(with_field(shop(), "created_at", "placed_at")).cut != rules_of(shop()).cut


def test_a_zone_cuts_the_days_anew_and_a_currency_does_not() -> None:
    assert rules_of(shop().model_copy(update={"timezone": "America/New_York"})).cut != rules_of(shop()).cut
    assert rules_of(shop().model_copy(update={"currency": "DKK"})).cut == rules_of(shop()).cut


def test_what_is_asked_of_the_shop_and_how_is_no_rule() -> None:
    changed = shop().model_copy(update={"first_day": date(2020, 1, 1), "base_url": "https://other.example"})
    assert rules_of(changed) == rules_of(shop())


def test_a_key_at_its_default_is_no_rule_so_that_a_new_version_with_new_keys_makes_no_day_another() -> None:
    spelled_out = shop().orders.fields.model_copy(update={"shipping_tax": None})
    described = shop().model_copy(update={"orders": shop().orders.model_copy(update={"fields": spelled_out})})
    assert "null" not in rules_of(described).text
