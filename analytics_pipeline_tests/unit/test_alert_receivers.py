"""What `ANALYTICS_ALERT_URLS` and its neighbours mean, and what of them is ever shown; sending is tested elsewhere."""

from datetime import timedelta

import pytest

from analytics_pipeline.alerts.sending import fault_of, receivers_of
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.settings import AlertSettings

SECRET = "xoxb-secret"


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("", []),
        ("  ", []),
        (" json://a ", ["json://a"]),
        ("json://a json://b\n\tjson://c", ["json://a", "json://b", "json://c"]),
        ("json://a,json://b, json://c,", ["json://a", "json://b", "json://c"]),
        (
            "mailto://u:p@h?to=a@x.example,b@x.example,slack://t",
            ["mailto://u:p@h?to=a@x.example,b@x.example", "slack://t"],
        ),
        ("no url", ["no", "url"]),
    ],
)
def test_blanks_and_commas_before_a_url_separate_receivers(text: str, urls: list[str]) -> None:
    assert [receiver.url for receiver in receivers_of(text)] == urls
    assert [receiver.number for receiver in receivers_of(text)] == list(range(1, len(urls) + 1))


@pytest.mark.parametrize(
    ("url", "label"),
    [
        (f"json://me:{SECRET}@hooks.example:8080/{SECRET}?-k={SECRET}", "URL 1 (json://hooks.example:8080)"),
        (f"JSONS://hooks.example/{SECRET}", "URL 1 (jsons://hooks.example)"),
        (f"mailtos://me:{SECRET}@mail.example", "URL 1 (mailtos://mail.example)"),
        (f"slack://{SECRET}/b/c", "URL 1 (slack)"),
        (f"tgram://{SECRET}/1", "URL 1 (tgram)"),
        (f"json://me:a/{SECRET}@hooks.example", "URL 1 (json)"),  # a slash in the password: the host cannot be reached
        (f"json://me:a#{SECRET}@hooks.example", "URL 1 (json)"),
        (f"json://me:a?{SECRET}@hooks.example", "URL 1 (json)"),
        (f"json://{SECRET}#b@hooks.example", "URL 1 (json)"),
        (SECRET, "URL 1"),
        (f"{SECRET}+/=://x", "URL 1"),
    ],
)
def test_a_label_shows_the_service_and_the_server_at_most(url: str, label: str) -> None:
    (receiver,) = receivers_of(url)

    assert receiver.label == label
    assert SECRET not in receiver.label
    assert SECRET not in repr(receiver)


def test_a_url_that_apprise_cannot_read_is_a_fault_and_a_good_one_is_none() -> None:
    good, unknown, empty, none = receivers_of(f"json://me:{SECRET}@h/x jsonx://{SECRET} slack:// {SECRET}")

    assert fault_of(good) is None
    for bad in (unknown, empty, none):
        fault = fault_of(bad)
        assert fault is not None
        assert fault.startswith(f"URL {bad.number}")
        assert SECRET not in fault


def test_the_settings_have_defaults_and_show_no_url() -> None:
    settings = AlertSettings.from_environment({})
    assert (settings.urls, settings.repeat_after) == ("", timedelta(hours=24))
    assert settings.ui_url == "http://127.0.0.1:3000"

    given = AlertSettings.from_environment(
        {"ANALYTICS_ALERT_URLS": SECRET, "ANALYTICS_ALERT_REPEAT_HOURS": "1.5", "ANALYTICS_UI_URL": "https://ui/"}
    )
    assert (given.urls, given.repeat_after, given.ui_url) == (SECRET, timedelta(hours=1.5), "https://ui")
    assert SECRET not in repr(given)


@pytest.mark.parametrize("hours", ["0", "-1", "daily", "nan", "inf", "1e300"])
def test_hours_that_are_none_are_refused(hours: str) -> None:
    with pytest.raises(SettingsError, match="ANALYTICS_ALERT_REPEAT_HOURS has to be a number of hours above 0"):
        AlertSettings.from_environment({"ANALYTICS_ALERT_REPEAT_HOURS": hours})
