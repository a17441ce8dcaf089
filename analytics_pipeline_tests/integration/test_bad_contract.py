"""A mapping that goes wrong, told as one story: blocked, alerted, mended, replayed, and every figure right again."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.orchestration.alerting import evaluate
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.late import LOADED, OPENED, catch_up
from analytics_pipeline_tests.integration.loaded import hashes, redescribed
from analytics_pipeline_tests.integration.receivers import Receiver, receiving
from analytics_pipeline_tests.integration.truth import agrees

LIMITS: dict[str, object] = {"warn_above": 0.02, "block_above": 0.05}
# The orders of guests are reported in a currency that is none.
WRONG: dict[str, object] = {"currency": "!customer && 'Euro' || currency"}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as running:
        monkeypatch.setenv("ANALYTICS_ALERT_URLS", running.url)
        yield running


def _tell(pipeline: Pipeline) -> None:
    keys = pipeline.definitions.resolve_asset_graph().asset_check_keys
    evaluate(
        pipeline.instance,
        pipeline.database,
        build_catalogue(str(pipeline.description)),
        datetime.now(UTC),
        check_keys=keys,
    )


def test_a_contract_that_condemns_a_twentieth_of_a_day_is_blocked_and_its_replay_makes_all_right(
    later: Pipeline, receiver: Receiver, tmp_path: Path
) -> None:
    good = redescribed(later, tmp_path, quarantine={"warn_above": 0.3, "block_above": 0.5})
    catch_up(good)
    before = hashes(good.database)
    fields = load_shop(good.description).orders.fields.model_dump(exclude_none=True)
    bad = redescribed(later, tmp_path, quarantine=LIMITS, orders={"fields": {**fields, **WRONG}})

    summary = bad.run(LOADED, job="clean")

    assert not summary.succeeded
    assert any("quarantine_stays_below_the_limit" in failure for failure in summary.failures)
    assert hashes(bad.database) == before
    agrees(bad, OPENED, LOADED)
    _tell(bad)
    messages = [message for message in receiver.messages if "quarantine_stays_below_the_limit" in str(message)]
    assert len(messages) == 1

    mended = good.run(LOADED, job="clean")
    assert mended.succeeded, mended.failures
    assert good.run(LOADED, job="marts").succeeded
    agrees(good, OPENED, LOADED)
    assert hashes(good.database) == before
