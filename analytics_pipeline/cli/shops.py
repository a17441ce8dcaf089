"""A command's work for one shop after the other: headings, failures that stop no other shop, and one exit code.

Which shops are meant is said by `settings`; what is done for one is the command's. A command for a single shop is as if
nothing of this were here, unless its folder has marts over all shops.
"""

import functools
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from analytics_pipeline.cli import foreseen, shop_option
from analytics_pipeline.cli.exit_codes import DOUBTFUL, FAILED, PENDING
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.marts.engine import LAYER
from analytics_pipeline.marts.folders import files_of_all_shops
from analytics_pipeline.settings import Settings

ALL_TOGETHER = "all shops"
SEVEREST_FIRST = (FAILED, DOUBTFUL, PENDING)
OF_ALL = (click.UsageError, click.Abort, click.exceptions.Exit)
"""What is no matter of one shop: options that make no sense, and the wish to end."""


@dataclass(frozen=True)
class Answer:
    """What a command says of one shop as JSON.

    Attributes:
        document: Plain data.
        exit_code: What the command ends with where this is the only shop.
    """

    document: Any
    exit_code: int = 0


Work = Callable[..., Answer | None]
"""Is given settings of one shop. It echoes what it has to say, or returns it where JSON is asked for."""


def each_shop(body: Callable[..., Answer | None]) -> Callable[..., None]:
    """Give a command `--shop`, and call its body for each chosen shop, with settings of this one as first argument.

    An option `is_json` of the command says that standard output is for JSON alone.
    """
    return each_shop_and_then(None)(body)


def each_shop_and_then(of_all: Work | None) -> Callable[[Callable[..., Answer | None]], Callable[..., None]]:
    """Return `each_shop` for a command that has something to do for all shops together, where there are several.

    Args:
        of_all: Is given settings of all shops, and the command's options.
    """

    def decorate(body: Callable[..., Answer | None]) -> Callable[..., None]:
        @functools.wraps(body)
        def command(*arguments: Any, **options: Any) -> None:  # noqa: ANN401 - click's
            def work(settings: Settings) -> Answer | None:
                return body(settings, *arguments, **options)

            def then(settings: Settings) -> Answer | None:
                return of_all(settings, **options) if of_all is not None else None

            is_json = bool(options.get("is_json"))
            for_each(Settings.from_environment(), work, is_json=is_json, then=then if of_all else None)

        return shop_option(command)

    return decorate


def of_one_shop(_: click.Context, parameter: click.Parameter, value: Any) -> Any:  # noqa: ANN401 - click's
    """Refuse an option, as its callback, where several shops are chosen.

    Raises:
        SettingsError: There are several, with their names.
    """
    if value is not None and len(shops := Settings.from_environment().names) > 1:
        raise SettingsError(
            f"{parameter.opts[0]} is for one shop, and there are {', '.join(shops)}: choose one with --shop NAME."
        )
    return value


def for_each(settings: Settings, work: Work, *, is_json: bool = False, then: Work | None = None) -> None:
    """Do a work for one shop after the other, each under a heading where there are several.

    A shop whose work fails is named with the reason, and the others have their turn. What is returned of several shops
    is one JSON object, by the names of the shops and `all shops` for what is returned of all together.

    Args:
        settings: Of all shops.
        work: What is done for one.
        is_json: Whether standard output is for JSON alone.
        then: What is done for several shops together, after them.

    Raises:
        SystemExit: Some work has failed or is in doubt; with the severest exit code.
        Exception: Whatever the work of a single shop raises.
    """
    if len(settings.shops) == 1 and (then is None or is_json or not _has_marts_of_all(settings)):
        _end(work(settings))
        return
    answers: dict[str, Answer] = {}
    for name, one in zip(settings.names, settings.each(), strict=True):
        click.echo(f"== {name}" if not answers else f"\n== {name}", err=is_json)
        answers[name] = _answer(name, one, work)
    failed = [name for name, answer in answers.items() if answer.exit_code == FAILED]
    if failed:
        click.echo(f"\n{len(failed)} of {len(answers)} shops failed: {', '.join(failed)}", err=True)
    if then is not None:
        click.echo(f"\n== {ALL_TOGETHER}", err=is_json)
        answers[ALL_TOGETHER] = _answer(ALL_TOGETHER, settings, then)
    codes = {answer.exit_code for answer in answers.values()}
    severest = next((code for code in SEVEREST_FIRST if code in codes), 0)
    _end(Answer({name: answer.document for name, answer in answers.items()} if is_json else None, severest))


def _has_marts_of_all(settings: Settings) -> bool:
    """Return whether the user's folder has a mart over all shops, which a single shop may have too."""
    return settings.is_whole and bool(files_of_all_shops(settings.project / LAYER))


def _answer(name: str, settings: Settings, work: Work) -> Answer:
    """Do the work for one of several shops, whatever becomes of it."""
    try:
        return work(settings) or Answer(None)
    except OF_ALL:
        raise
    except SystemExit as end:
        return Answer(None, end.code if end.code in {0, *SEVEREST_FIRST} else FAILED)
    except Exception as error:  # noqa: BLE001 - whatever it is, the next shop has its turn
        message = foreseen(error)
        if message is None:
            traceback.print_exception(error)
            message = f"not foreseen: {type(error).__name__}"
        click.echo(f"Error: {name}: {message}", err=True)
        return Answer({"error": message}, FAILED)


def _end(answer: Answer | None) -> None:
    if answer is None:
        return
    if answer.document is not None:
        click.echo(json.dumps(answer.document, indent=2))
    if answer.exit_code:
        raise SystemExit(answer.exit_code)
