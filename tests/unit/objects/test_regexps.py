"""Go's regular expressions in Python: what they find, and which are none."""

from __future__ import annotations

import pytest

from runtime.objects.regexps import go_pattern


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"^[a$\]]+$", "a$]", "a\n"),
        (r"a\z", "ba", "a\n"),
        (r"\d$", "3", "٣"),
        (r"(?m)^b$", "a\nb\nc", "ab"),
        (r"^(?i)\.?[a-z_]+(\.[a-z]+)*$", "Foo.Bar", "1"),
        (r"^(a(?i)b|c)d$", "aBd", "aBD"),
        (r"^(a(?i)b|c)d$", "Cd", "Ad"),
        (r"^(?i:a)b$", "Ab", "AB"),
        (r"^(?P<x>a)(?<y>b)$", "ab", "ba"),
        (r"^a{,2}$", "a{,2}", "aa"),
        (r"^a{2,}?b{1}$", "aaab", "ab"),
        (r"^\Qa.b\E+$", "a.bb", "axb"),
        (r"^\s$", "\t", "\v"),
        (r"^[\S]$", "\v", " "),
        (r"^[[:alpha:][:digit:]_-]+$", "a1_-", "a:"),
        (r"^[]a[]+$", "][a", "b"),
        (r"^[^]]$", "a", "]"),
        (r"^\p{Lu}\pL*$", "Éa", "é"),
        (r"^\P{L}[^\pN]$", "1a", "a1"),
        (r"^\x{1F600}\x41\101$", "😀AA", "AAA"),
        (r"^[a&&b||c~]+$", "a&|~", "d"),
    ],
)
def test_patterns_find_what_go_finds(pattern: str, good: str, bad: str) -> None:
    compiled = go_pattern(pattern)
    assert compiled is not None
    assert compiled.search(good) and not compiled.search(bad)


@pytest.mark.parametrize(
    "pattern",
    [
        *("(", "a)", "a**", "a*+", "a{2}{3}", "a{1001}", "*a", "a{3,2}"),
        *("(?=a)", "(?<!a)", "(?>a)", r"(a)\1", r"\Z"),
        *("[a", "[b-a]", "[[:none:]]", r"\p{X}"),
    ],
)
def test_what_go_refuses_is_no_pattern(pattern: str) -> None:
    assert go_pattern(pattern) is None
