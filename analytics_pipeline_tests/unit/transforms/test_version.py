"""The version of the rules: it changes with everything that decides about a record, and with nothing else."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.tables.contracts import CLEAN_PRODUCTS
from analytics_pipeline.transforms import version
from analytics_pipeline.transforms.version import code_version, contract_version, dimension_code_version, rules_of
from analytics_pipeline_tests.conftest import DEMO_DESCRIPTION
from analytics_pipeline_tests.unit.transforms.conftest import cleaned, order, rows_of

DOCS = Path(__file__).parents[3] / "docs"
DEMO: dict[str, Any] = yaml.safe_load(DEMO_DESCRIPTION.read_text(encoding="utf-8")) | {"first_day": "2025-01-01"}


def demo(**changes: object) -> Shop:
    return Shop.model_validate(DEMO | changes)


def orders(**changes: object) -> dict[str, Any]:
    return {"orders": DEMO["orders"] | changes}


def reversed_keys(value: Any) -> Any:  # noqa: ANN401 - YAML
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return value


def test_it_is_the_same_in_another_process_and_in_another_order_of_keys() -> None:
    own = contract_version(demo())
    assert len(own) == 12
    code = (
        "from analytics_pipeline.shop.spec import load_shop\n"
        "from analytics_pipeline.transforms.version import contract_version\n"
        "print(contract_version(load_shop('demo')))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == own
    assert contract_version(Shop.model_validate(reversed_keys(DEMO))) == own


def test_a_description_without_later_keys_keeps_the_hash_that_days_were_made_with_before_these() -> None:
    assert code_version(demo()) == "95fdbdb1522f"


def test_a_description_of_before_has_the_version_of_before() -> None:
    described = load_shop(DOCS / "examples" / "online-retail.yaml")
    assert code_version(described) == "8403fc5aaafa"
    assert rules_of(described).mapping == "c0b6d199ff42"
    assert dimension_code_version(described, CLEAN_PRODUCTS) == "7a4fedff9793"


@pytest.mark.parametrize(
    "changes",
    [
        orders(charges=[{"kind": "tip", "amount": "tip"}]),
        {"currency": "USD"},
        {"timezone": "Europe/London"},
        {"times": {"format": "iso8601", "without_offset": "local"}},
        orders(fields=DEMO["orders"]["fields"] | {"total": "grand_total"}),
        orders(lines=DEMO["orders"]["lines"] | {"records": "positions"}),
        orders(exclude=[]),
        orders(returns_when="is_return"),
        {"money": {"tolerance": "0.01"}},
        {"money": {"unit": "minor"}},
        {"orders": {key: value for key, value in DEMO["orders"].items() if key != "refunds"}},
    ],
)
def test_it_changes_with_what_decides_about_a_record(changes: dict[str, object]) -> None:
    assert contract_version(demo(**changes)) != contract_version(demo())


@pytest.mark.parametrize(
    "changes",
    [
        {"base_url": "https://shop.example.com", "name": "other", "daily_run_hour": 5},
        {"quarantine": {"block_above": 0.5}, "limits": {"retries": 1}},
        orders(path="/v2/orders", pagination={"type": "single"}),
        {"auth": {"type": "bearer", "token": "${SHOP_TOKEN}"}},
    ],
)
def test_it_stays_with_how_the_shop_is_asked(changes: dict[str, object]) -> None:
    assert contract_version(demo(**changes)) == contract_version(demo())


def test_it_changes_with_the_projects_version_and_with_a_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    own = contract_version(demo())
    with monkeypatch.context() as changed:
        changed.setattr(version, "version", lambda _: "99.0.0")
        assert contract_version(demo()) != own
    monkeypatch.setattr(version, "JUDGING_CONTRACTS", version.JUDGING_CONTRACTS[:2])
    assert contract_version(demo()) != own


def test_a_quarantined_record_carries_it() -> None:
    result = cleaned(order(total="1.00"), of=demo())
    assert rows_of(result.quarantine, "contract_version") == [(contract_version(demo()),)]
