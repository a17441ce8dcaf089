"""A command over several shops: who fails stops no other, is named, and makes the exit code."""

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from analytics_pipeline.cli.exit_codes import DOUBTFUL, FAILED, PENDING
from analytics_pipeline.cli.shops import Answer, Work, for_each
from analytics_pipeline.errors import PipelineError, ShopUnavailableError
from analytics_pipeline.settings import Settings


def ended(work: Work, *names: str, is_json: bool = False) -> Result:
    """A command that does a work for shops of these names."""
    settings = Settings(Path(), None, tuple(f"shops/{name}.yaml" for name in names))

    @click.command()
    def command() -> None:
        for_each(settings, work, is_json=is_json)

    return CliRunner().invoke(command)


def by_name(**works: Callable[[], Answer | None]) -> Work:
    """A work that is another one for each shop; those that are not named have nothing to do."""
    return lambda settings: works.get(settings.names[0], lambda: None)()


def raising(error: BaseException) -> Callable[[], Answer | None]:
    def work() -> Answer | None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ShopUnavailableError("it does not answer"), "Error: us: it does not answer"),
        (click.ClickException("it cannot be"), "Error: us: it cannot be"),
        (ZeroDivisionError("division by zero"), "Error: us: not foreseen: ZeroDivisionError"),
    ],
)
def test_who_fails_is_named_and_stops_no_other(error: Exception, message: str) -> None:
    seen: list[str] = []
    work = by_name(de=lambda: seen.append("de"), us=raising(error), fr=lambda: seen.append("fr"))

    result = ended(work, "de", "us", "fr")

    assert seen == ["de", "fr"]
    assert result.exit_code == FAILED
    assert result.stdout == "== de\n\n== us\n\n== fr\n"
    assert message in result.stderr.splitlines()
    assert result.stderr.endswith("1 of 3 shops failed: us\n")
    assert ("Traceback" in result.stderr) is not isinstance(error, click.ClickException | PipelineError)


@pytest.mark.parametrize(
    ("codes", "severest"),
    [((0, 0), 0), ((PENDING, 0), PENDING), ((PENDING, DOUBTFUL), DOUBTFUL), ((DOUBTFUL, FAILED), FAILED)],
)
def test_the_exit_code_is_the_severest(codes: tuple[int, int], severest: int) -> None:
    work = by_name(de=raising(SystemExit(codes[0])), us=lambda: Answer(None, codes[1]))

    assert ended(work, "de", "us").exit_code == severest


def test_json_of_several_shops_is_one_object_and_of_one_what_it_was() -> None:
    work = by_name(de=lambda: Answer({"ok": True}, PENDING), us=raising(ShopUnavailableError("gone")))

    several = ended(work, "de", "us", is_json=True)
    alone = ended(work, "de", is_json=True)

    assert json.loads(several.stdout) == {"de": {"ok": True}, "us": {"error": "gone"}}
    assert (json.loads(alone.stdout), alone.exit_code) == ({"ok": True}, PENDING)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.UsageError("give --date, or --from and --to")])
def test_who_wants_to_end_and_options_without_sense_end_the_whole(error: BaseException) -> None:
    seen: list[str] = []

    result = ended(by_name(de=raising(error), us=lambda: seen.append("us")), "de", "us")

    assert (result.exit_code != 0, seen) == (True, [])


@pytest.mark.parametrize("is_of_all", [False, True])
def test_a_single_shop_is_followed_by_all_where_its_folder_has_a_mart_over_all_shops(
    tmp_path: Path, *, is_of_all: bool
) -> None:
    (tmp_path / "marts").mkdir()
    line = "-- shops: all\n" if is_of_all else ""
    (tmp_path / "marts" / "mine.sql").write_text(f"-- What.\n-- grain: shop\n{line}select 1\n", encoding="utf-8")
    settings = Settings(Path(), None, ("shops/de.yaml",), project=tmp_path)

    @click.command()
    def command() -> None:
        for_each(settings, lambda _: click.echo("one"), then=lambda _: click.echo("all"))

    assert CliRunner().invoke(command).stdout == ("== de\none\n\n== all shops\nall\n" if is_of_all else "one\n")


def test_the_error_of_a_single_shop_is_nobodys_but_the_callers() -> None:
    assert isinstance(ended(by_name(de=raising(ShopUnavailableError("gone"))), "de").exception, ShopUnavailableError)
