from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.objects import quantity
from runtime.objects.quantity import (
    NANO,
    Quantity,
    QuantityError,
    canonical,
    compare,
    milli,
    parse,
    to_number,
    whole,
)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("0", "0"),
        ("0Mi", "0"),
        ("-0", "0"),
        ("1", "1"),
        ("100m", "100m"),
        ("0.1", "100m"),
        ("0.5", "500m"),
        ("1.5", "1500m"),
        ("1500m", "1500m"),
        ("1000m", "1"),
        ("2000m", "2"),
        ("1024", "1024"),
        ("1000", "1k"),
        ("12e3", "12e3"),
        ("1e3", "1e3"),
        ("1E3", "1E3"),
        ("1e2", "100"),
        ("12e-3", "12e-3"),
        ("1024Ki", "1Mi"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("0.5Mi", "512Ki"),
        ("64Mi", "64Mi"),
        ("1Ei", "1Ei"),
        ("100Ei", "9223372036854775807"),
        ("1E", "1E"),
        ("1Ki", "1Ki"),
        ("512", "512"),
        ("0.5Ki", "512"),
        ("1n", "1n"),
        ("0.1n", "1n"),
        ("1e-12", "1e-9"),
        ("1.0000000001", "1000000001n"),
        ("-1.5", "-1500m"),
        ("-1.1n", "-2n"),
        ("1G", "1G"),
        ("1000G", "1T"),
        ("1.25k", "1250"),
        ("256k", "256k"),
        ("1000k", "1M"),
        ("+5", "+5"),
        ("007", "007"),
        ("1.500", "1.500"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1e400", "10e399"),
        (".5", "500m"),
        ("5.", "5."),
    ],
)
def test_prints_as_upstream(text: str, printed: str) -> None:
    assert canonical(text) == printed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", quantity.WRONG_FORMAT),
        ("aoeu", quantity.WRONG_FORMAT),
        ("1.1.M", quantity.WRONG_FORMAT),
        ("1+1.0M", quantity.WRONG_FORMAT),
        ("1,1", quantity.WRONG_FORMAT),
        ("1 Gi", quantity.WRONG_FORMAT),
        ("Ki", quantity.WRONG_FORMAT),
        ("+", quantity.WRONG_FORMAT),
        (".", quantity.WRONG_FORMAT),
        ("1i", quantity.WRONG_SUFFIX),
        ("0.1mi", quantity.WRONG_SUFFIX),
        ("1K", quantity.WRONG_SUFFIX),
        ("1e", quantity.WRONG_SUFFIX),
        ("-3.01e-", quantity.WRONG_SUFFIX),
        ("1e99999999999999", quantity.WRONG_SUFFIX),
        ("1e1000000000", quantity.WRONG_NUMBER),
        ("9" * 5000, quantity.WRONG_NUMBER),
        ("\u0661Gi", quantity.WRONG_FORMAT),
    ],
)
def test_refuses_as_upstream(text: str, why: str) -> None:
    with pytest.raises(QuantityError) as refused:
        parse(text)
    assert str(refused.value) == why


def test_tiny_exponents_cost_nothing() -> None:
    assert canonical("1e-2000000000") == "1e-9"
    assert canonical("0e-2000000000") == "0"


def test_bare_numbers_are_quantities_too() -> None:
    assert canonical(2) == "2"
    assert canonical(0.5) == "500m"
    assert canonical(1e22) == "10e21"
    with pytest.raises(QuantityError):
        parse(True)


def test_numbers() -> None:
    assert milli("100m") == 100
    assert milli("1.5") == 1500
    assert milli("1u") == 1
    assert milli("-1u") == -1
    assert whole("1500m") == 2
    assert whole("-1500m") == -2
    assert whole("1Gi") == 2**30
    assert to_number("250m") == 0.25
    assert to_number("1Ki") == 1024
    assert isinstance(to_number("2000m"), int)


def test_arithmetic_keeps_the_first_ones_suffixes() -> None:
    assert str(parse("1Gi") + parse("512Mi")) == "1536Mi"
    assert str(parse("0") + parse("512Mi")) == "512Mi"
    assert str(parse("1Gi") - parse("1G")) == "73741824"
    assert str(parse("500m") * 3) == "1500m"
    assert str(-parse("1Gi")) == "-1Gi"
    assert sum((parse("200m"), parse("0.3")), Quantity(0)) == parse("500m")


def test_order() -> None:
    assert compare("1Gi", "1024Mi") == 0
    assert compare("1G", "1Gi") == -1
    assert compare("2", "1500m") == 1
    assert parse("1Gi") == parse("1024Mi")
    assert hash(parse("1Gi")) == hash(parse("1024Mi"))
    assert parse("100m") < parse("1")
    assert not parse("0m")


numbers = st.builds(
    lambda whole, fraction, suffix: f"{whole}{'.' + fraction if fraction else ''}{suffix}",
    st.integers(-(10**12), 10**12),
    st.text("0123456789", max_size=6),
    st.sampled_from(["", "n", "u", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e-2", "E4"]),
)


@given(numbers)
def test_canonical_form_is_the_same_amount_and_stable(text: str) -> None:
    first = parse(text)
    rendered = str(Quantity(first.nano, first.format))
    again = parse(rendered)
    assert again.nano == first.nano
    assert str(Quantity(again.nano, again.format)) == rendered


@given(numbers, numbers)
def test_sums_are_exact(left: str, right: str) -> None:
    a, b = parse(left), parse(right)
    total = a + b
    assert total.nano == a.nano + b.nano
    assert total - b == a
    if abs(total.nano) < 2**63 * NANO:  # what is read in Ki, Mi, … is capped there
        assert parse(str(total)) == total


@given(st.integers(-(10**30), 10**30))
def test_rounding_goes_away_from_zero(nano: int) -> None:
    amount = Quantity(nano)
    assert abs(amount.value) * NANO >= abs(nano)
    assert (abs(amount.value) - 1) * NANO < abs(nano) or nano == 0
    assert (amount.value < 0) == (nano < 0)


@given(st.text(max_size=12))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        parsed = parse(text)
    except QuantityError:
        return
    assert parse(str(parsed)) == parsed
