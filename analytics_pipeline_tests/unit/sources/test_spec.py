"""Shop descriptions: what is accepted, and how faults are reported: file, line, key, fault, remedy, all at once."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from analytics_pipeline.errors import DescriptionError, MissingSecretError
from analytics_pipeline.shop.spec import load_shop, packaged_shops, resolve
from analytics_pipeline_tests.unit.sources.conftest import shop_of

DEMO = (Path(__file__).parents[3] / "analytics_pipeline/shop/packaged/demo.yaml").read_text()


def faults(tmp_path: Path, text: str) -> str:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    with pytest.raises(DescriptionError) as caught:
        load_shop(path)
    assert str(path) in str(caught.value)
    assert caught.value.__context__ is None  # the libraries' errors repeat the file, which may hold a secret
    return str(caught.value)


def changed(old: str, new: str) -> str:
    assert old in DEMO
    return DEMO.replace(old, new, 1)


@pytest.mark.parametrize("name", packaged_shops())
def test_packaged_shops_load_without_any_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ANALYTICS_DEMO_SHOP_URL", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert load_shop(name).name == name


def test_the_demo_shop_is_packaged_and_keeps_its_reference() -> None:
    shop = load_shop("demo")
    assert shop.base_url == "${ANALYTICS_DEMO_SHOP_URL:-http://127.0.0.1:8899}"
    assert (str(shop.zone), shop.currency, str(shop.first_day)) == ("Europe/Berlin", "EUR", "2025-01-01")


def test_a_file_is_given_by_path_as_text_or_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(DEMO)
    assert load_shop(path) == load_shop(str(path)) == load_shop("demo")


def test_an_unknown_name_lists_the_packaged_shops() -> None:
    with pytest.raises(DescriptionError, match=r"no packaged shop 'dmeo'; there are: .*demo.*\./dmeo\.yaml"):
        load_shop("dmeo")


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"cannot read .*none\.yaml: No such file"):
        load_shop(tmp_path / "none.yaml")


LAUGHS = "\n".join(["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("orders: " + "[" * 5000 + "]" * 5000, "line 1: the file has more than 50 levels"),
        ("orders: " + "{a: " * 5000 + "1" + "}" * 5000, "line 1: the file has more than 50 levels"),
        ("\n".join(" " * depth + "a:" for depth in range(5000)), "line 51: the file has more than 50 levels"),
        ("[" * 5000, "line 1: the file has more than 50 levels"),
        ("name: x\norders: &o\n  lines: *o\n", "line 3: *o stands within what it repeats"),
        ("a: &a [[*a]]\n", "line 1: *a stands within what it repeats"),
        (LAUGHS, "the file has more than 20000 values with its aliases"),
        ("a: [" + "x," * 21_000 + "]", "line 1: the file has more than 20000 values"),
        ("currency: " + "1" * 5000, "a value cannot be read (ValueError): put text and large numbers in quotes"),
        ("currency: !!int x", "a value cannot be read"),
        ("? [a, b]\n: c\n", "found unhashable key"),
    ],
    ids=[
        "lists",
        "mappings",
        "blocks",
        "unclosed",
        "alias",
        "alias in lists",
        "laughs",
        "many",
        "digits",
        "tag",
        "key",
    ],
)
def test_a_file_that_no_reader_should_follow_is_refused_at_once(tmp_path: Path, text: str, fault: str) -> None:
    assert fault in faults(tmp_path, text)


def test_aliases_of_whole_parts_are_read(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(changed("  pagination: {type: cursor", "  pagination: &paged {type: cursor"))
    assert load_shop(path) == load_shop("demo")


def test_a_description_with_the_old_name_of_due_by_is_read_as_one_with_the_new_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(DEMO.replace("due_by:", "landed_by:"), encoding="utf-8")
    assert load_shop(str(path)) == load_shop(str(path)) == load_shop("demo")
    [message] = [record.getMessage() for record in caplog.records if "landed_by" in record.getMessage()]
    assert "is due_by now; rename it" in message


def test_a_syntax_error_gives_line_and_column(tmp_path: Path) -> None:
    assert "line 2, column 8: this is no YAML" in faults(tmp_path, "name: demo\nauth: [: {")


@pytest.mark.parametrize("text", ["", "- a\n", "just words", "a: !python/object:os.system x"])
def test_a_file_that_is_no_mapping_of_plain_data_is_refused(tmp_path: Path, text: str) -> None:
    assert "YAML" in faults(tmp_path, text) or "mapping of keys" in faults(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        ("size: 500", "sise: 500", "line 24: orders.pagination.sise: is no key of a description; did you mean size?"),
        ("size: 500", "size: 0", "line 24: orders.pagination.size: Input should be greater than 0 (given: 0)"),
        ("size: 500", 'size: "500"', "line 24: orders.pagination.size: Input should be a valid integer"),
        ("Europe/Berlin", "Europe/Berln", "line 4: timezone: is no IANA time zone; did you mean Europe/Berlin?"),
        ("Europe/Berlin", "../etc/passwd", "line 4: timezone: is no IANA time zone"),
        ("currency: EUR", "currency: Euro", "line 5: currency: does not have the form ^[A-Z]{3}$ (given: 'Euro')"),
        ("2025-01-01", "2025-13-01", "line 6: first_day: must be a day such as 2026-01-31 (given: '2025-13-01')"),
        ("2025-01-01", "20250101", "line 6: first_day: must be a day"),
        ("daily_run_hour: 4", "daily_run_hour: 24", "line 7: daily_run_hour: Input should be less than or equal to 23"),
        ('due_by: "06:00"', "due_by: 10:30", "line 8: due_by: must be a time of day in quotes"),
        ('due_by: "06:00"', 'due_by: "24:00"', "line 8: due_by: must be a time of day in quotes"),
        ('due_by: "06:00"', 'due_by: "6:00"', "line 8: due_by: must be a time of day in quotes"),
        ('due_by: "06:00"', 'due_by: "04:00"', "due_by has to be later than 04:00, when the daily run begins"),
        (
            "type: cursor",
            "type: curser",
            "line 24: orders.pagination: type is missing or unknown; allowed: 'page_number'",
        ),
        (
            "format: iso_utc",
            "format: iso",
            "must be 'iso_utc', 'iso_utc_bare', 'iso_offset', 'iso_local', 'date' or 'unix_",
        ),
        ("when: is_test", 'when: "is_test =="', "orders.exclude[0].when: is no JMESPath"),
        ("path: /orders", "path: orders", "orders.path: must start with /"),
        ("count: total", "count: total[0]", "orders.count: must be a plain dotted path"),
        (
            "count: total",
            "count: total\n  count_header: X-Total",
            "orders: give one of count, count_header and count_request",
        ),
        ("count: total", "count: orders", "orders: orders lies inside another path"),
        ("records: orders", 'records: "@"', 'orders: records is "@": a list has no total beside its records'),
        ("    order_id: id\n", "", "line 29: orders.fields.order_id: is missing"),
        ("size_param: limit, ", "", "orders: pagination: size_param and size belong together"),
        ("count: total", "params: {limit: x}", "orders: the query parameter limit is set in more than one place"),
        ("count: total", "params: {created_to: x}", "orders: the query parameter created_to is set in more than one"),
        ("count: total", "params: {n: 5}", "orders.params.n: must be text; put it in quotes"),
        ("currency: EUR", "currency: EUR\ncurrency: USD", "line 6: currency: is given twice; keep one"),
        ("auth: {type: none}", "auth: {}", "auth: type is missing"),
        ("auth: {type: none}", 'auth: {type: api_key, key: "${K}"}', "auth: give either header or param"),
        (
            "auth: {type: none}",
            'auth: {type: api_key, key: "${K}", param: limit}',
            "auth.param limit is also a query parameter of orders",
        ),
        (
            "auth: {type: none}",
            'auth: {type: api_key, key: "${K}", header: X-Shop}\nheaders: {x-shop: a}',
            "auth.header X-Shop is also given under headers",
        ),
        ("warn_above: 0.05", "warn_above: 0.5", "quarantine: warn_above must not be larger than block_above"),
        ("block_above: 0.25", "block_above: 25", "quarantine.block_above: Input should be less than or equal to 1"),
        ("warn_above: 0.05", "warn: 0.05", "quarantine.warn: is no key of a description; allowed here: block_above"),
        (
            "  count: total",
            "  count: total\n  extra: {weight: {type: text, pth: grams}}",
            "orders.extra.weight.pth: is no key of a description; did you mean path? allowed here: path, type",
        ),
        ("http://127.0.0.1:8899", "ftp://shop", "base_url: must be an http:// or https:// address"),
    ],
)
def test_a_fault_is_reported_with_line_key_path_and_remedy(tmp_path: Path, old: str, new: str, messages: str) -> None:
    assert messages in faults(tmp_path, changed(old, new))


def test_all_faults_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        changed("Europe/Berlin", "Mars/Base").replace("size: 500", "size: -1").replace("currency: EUR", "curency: EUR")
    )
    lines = faults(tmp_path, text).splitlines()[1:]
    numbers = [int(line.split()[1].rstrip(":")) for line in lines]
    assert len(lines) == 6
    assert numbers == sorted(numbers)


SECRET = "sk_live_1234567890"


@pytest.mark.parametrize(
    "entry",
    [
        f"auth: {{type: bearer, token: {SECRET}}}",
        f'auth: {{type: bearer, token: "${{T:-{SECRET}}}"}}',
        f'auth: {{type: bearer, token: "Token ${{T}}{SECRET}"}}',
        f"auth: {{type: api_key, header: X-Key, key: {SECRET}}}",
        f"auth: {{type: basic, username: u, password: {SECRET}}}",
        f"auth: {{type: bearer, tokn: {SECRET}}}",
        f"auth: {SECRET}",
        f"api_key: {SECRET}",
        f"headers: {{Authorization: Bearer {SECRET}}}",
        f"headers: {{X-Api-Key: {SECRET}}}",
        f'headers: {{X-Shop: "${{T}}{SECRET}"}}',
    ],
)
def test_a_literal_secret_is_refused_without_echo(tmp_path: Path, entry: str) -> None:
    text = changed("auth: {type: none}", entry)
    assert SECRET not in faults(tmp_path, text)


def test_a_user_in_the_base_url_is_refused_without_echo(tmp_path: Path) -> None:
    messages = faults(tmp_path, changed("http://127.0.0.1:8899", f"https://me:{SECRET}@shop.example"))
    assert "describe them under auth" in messages
    assert SECRET not in messages


def test_secret_references_are_accepted_and_stay_unresolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", SECRET)
    shop = shop_of(auth={"type": "bearer", "token": "${SHOP_TOKEN}"})
    assert "${SHOP_TOKEN}" in repr(shop)
    assert SECRET not in repr(shop)


def test_a_description_cannot_be_changed_after_loading() -> None:
    shop: Any = shop_of()
    with pytest.raises(ValidationError, match="frozen"):
        shop.currency = "USD"


def test_references_are_resolved_late_with_their_defaults() -> None:
    assert resolve("https://${SHOP}.example/${V:-v1}", {"SHOP": "a"}) == "https://a.example/v1"
    assert resolve("${V:-v1}", {"V": "v2"}) == "v2"
    assert resolve("${V:-v1}", {"V": ""}) == "v1"
    assert resolve("plain $HOME {x}", {}) == "plain $HOME {x}"


@pytest.mark.parametrize("environment", [{}, {"SHOP_KEY": ""}])
def test_a_missing_variable_is_named_with_its_key_path(environment: dict[str, str]) -> None:
    with pytest.raises(MissingSecretError, match=r"auth\.key refers to the environment variable SHOP_KEY"):
        resolve("${SHOP_KEY}", environment, where="auth.key")
