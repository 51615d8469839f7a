"""CEL: what expressions give, and what is said of those that give nothing."""

from __future__ import annotations

import pytest

from runtime.objects.cel import Budget, CelError, CelSyntaxError, Optional, compile_expression
from runtime.objects.cel.values import MapList, SetList

VARIABLES = {
    "self": {
        "a": 3,
        "name": "web",
        "list": [1, 2, 3],
        "tags": {"x": "1", "y": "2"},
        "people": [{"n": "a", "age": 3}, {"n": "b", "age": 5}],
        "a-b": True,
        "in": "kept",
    }
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3 == 7 && !(4 < 3)", True),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("7u + 1u", 8),
        ("1.5 + 0.5", 2.0),
        ("1 == 1.0 && 1u == 1", True),
        ("'a' + \"b\" + r'\\n'", "ab\\n"),
        ("'\\u00e9' == 'é' && b'\\xc3\\xa9' == bytes('é')", True),
        ("[1] + [2, 3]", [1, 2, 3]),
        ("{'a': 1}['a'] + {'a': 1}.a", 2),
        ("2 in [1, 2] && 'a' in {'a': 1}", True),
        ("true ? 'yes' : 'no'", "yes"),
        ("size('héllo') + size([1]) + self.list.size()", 9),
        ("has(self.a) && !has(self.b)", True),
        ("self.?b.orValue(5)", 5),
        ("self.?tags.x.value()", "1"),
        ("self[?'none'].hasValue()", False),
        ("optional.of(1).optMap(x, x + 1).value()", 2),
        ("self.a__dash__b && self.__in__ == 'kept'", True),
        ("self.list.all(x, x > 0) && self.list.exists(x, x == 2)", True),
        ("self.list.exists_one(x, x > 2)", True),
        ("self.list.filter(x, x > 1).map(x, x * 2)", [4, 6]),
        ("self.list.map(x, x > 1, x * 2)", [4, 6]),
        ("self.tags.all(k, self.tags[k].matches('^[0-9]+$'))", True),
        ("self.list.all(i, v, v == i + 1)", True),
        ("self.tags.transformMap(k, v, v + k)", {"x": "1x", "y": "2y"}),
        ("cel.bind(n, self.a, n * n)", 9),
        # an error is forgiven where the other side decides
        ("self.none == 1 || true", True),
        ("[1, 0].exists(x, 1 / x == 1)", True),
        ("type(1) == int && type('a') == string && type(null) == null_type", True),
        ("string(1) + string(true) + string(1.5)", "1true1.5"),
        ("int('12') + int(3.9)", 15),
        ("duration('1h30m').getMinutes()", 90),
        ("timestamp('2024-02-29T12:00:00Z').getDayOfYear()", 59),
        ("timestamp('2024-01-01T00:00:00Z') + duration('24h') == timestamp('2024-01-02T00:00:00Z')", True),
        ("'abc'.startsWith('a') && 'abc'.endsWith('c') && 'abc'.contains('b')", True),
        ("'a,b,c'.split(',').join('-')", "a-b-c"),
        ("' Ab '.trim().lowerAscii().upperAscii()", "AB"),
        ("'hello'.substring(1, 3) + 'hello'.charAt(4) + string('hello'.indexOf('l'))", "elo2"),
        ("'%s has %d of %.1f'.format(['x', 3, 1.25])", "x has 3 of 1.2"),
        ("[3, 1, 2].sum() == 6 && [1, 2].isSorted() && [3, 1].min() == 1", True),
        ("'%.2e'.format([31.4])", "3.14×10⁰¹"),
        (
            "self.people.sortBy(p, -p.age).map(p, p.n) + [3, 1].sortBy(x, x).map(x, string(x))",
            ["b", "a", "1", "3"],
        ),
        ("type(ip('10.0.0.1')) == net.IP && type(duration('1s')) == google.protobuf.Duration", True),
        ("optional.ofNonZeroValue(timestamp('0001-01-01T00:00:00Z')).hasValue()", False),
        ("'a1b22'.findAll('[0-9]+')", ["1", "22"]),
        ("url('https://h:80/p?a=b').getHost()", "h:80"),
        ("isURL('no url') || isIP('10.0.0.256')", False),
        ("ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.2.3')", True),
        ("quantity('1Gi').isGreaterThan(quantity('1G')) && isQuantity('5m')", True),
        ("quantity('1').add(quantity('500m')).compareTo(quantity('1500m'))", 0),
        ("format.dns1123Label().validate('Bad').hasValue()", True),
        ("semver('1.2.3').isLessThan(semver('1.10.0'))", True),
        ("math.greatest(1, 3, 2) + math.least([4, 2])", 5),
        ("sets.contains([1, 2, 3], [2]) && sets.equivalent([1], [1, 1])", True),
    ],
)
def test_expressions_have_values(text: str, value: object) -> None:
    assert compile_expression(text).evaluate(VARIABLES) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("self.none", "no such key: none"),
        ("self.list[5]", "index out of bounds: 5"),
        ("1 / 0", "division by zero"),
        ("1 % 0", "modulus by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("1 + 'a'", "no such overload"),
        ("lists.range(1000000000000)", "lists.range() would have more than 1000000 elements"),
        ("'a' < 1", "no such overload"),
        ("timestamp(-62135596801)", "range error"),
        ("[1].slice(1, 0)", "cannot slice(1, 0), start index must be less than or equal to end index"),
        ("[1].slice(-1, 0)", "cannot slice(-1, 0), negative indexes not supported"),
        ("[1].slice(0, 2)", "cannot slice(0, 2), list is length 1"),
        ("[[1]].flatten(-1)", "level must be non-negative"),
        ("size(1)", "no such overload"),
        ("'a'.substring('b')", "no such overload"),
        ("1 && true", "no such overload"),
        ("optional.none().value()", "optional.none() dereference"),
        ("{'a': 1, 'a': 2}", "insert failed: key a already exists"),
    ],
)
def test_expressions_without_a_value_say_why(text: str, sentence: str) -> None:
    with pytest.raises(CelError) as caught:
        compile_expression(text).evaluate(VARIABLES)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("self = 42", "<input>:1:6: Syntax error: token recognition error at: '= '"),
        ("self.x == 'a", "<input>:1:11: Syntax error: token recognition error at: ''a'"),
        ("(self", "<input>:1:6: Syntax error: mismatched input '<EOF>' expecting ')'"),
        ("a\n b", "<input>:2:2: Syntax error: mismatched input 'b' expecting <EOF>"),
        ("has(self)", "invalid argument to has() macro"),
        ("self.all(1, true)", "argument must be a simple name"),
        ("if", "reserved identifier: if"),
        ("(" * 300 + "1" + ")" * 300, "expression recursion limit exceeded"),
    ],
)
def test_texts_that_are_no_expression_say_where(text: str, sentence: str) -> None:
    with pytest.raises(CelSyntaxError) as caught:
        compile_expression(text)
    assert sentence in str(caught.value)


def test_an_evaluation_ends() -> None:
    rows = {"self": list(range(1000))}
    text = "self.all(x, self.all(y, self.all(z, x + y + z >= 0)))"
    with pytest.raises(CelError, match="actual cost limit exceeded"):
        compile_expression(text).evaluate(rows)


def test_texts_do_not_grow_without_end() -> None:
    text = "x"
    for _ in range(20):
        text = f"cel.bind(x, x + x, {text})"
    with pytest.raises(CelError, match="actual cost limit exceeded"):
        compile_expression(text).evaluate({"x": "ab" * 1000})


def test_evaluations_share_a_budget() -> None:
    budget = Budget(1000)
    compile_expression("self.all(x, x >= 0)").evaluate({"self": list(range(50))}, budget)
    assert 1000 - 50 * 10 < budget.left < 1000 - 50


def test_lists_that_are_sets_and_maps_have_no_order() -> None:
    ask = compile_expression("self == old")
    assert ask.evaluate({"self": SetList([1, 2]), "old": SetList([2, 1])})
    one, other = MapList([{"k": 1}, {"k": 2}]), MapList([{"k": 2}, {"k": 1}])
    one.keys = other.keys = ("k",)
    assert ask.evaluate({"self": one, "old": other})
    assert compile_expression("self + old").evaluate({"self": SetList([1]), "old": [1, 2]}) == [1, 2]


def test_optional_values_are_compared_by_what_they_hold() -> None:
    found = compile_expression("self.?a").evaluate(VARIABLES)
    assert found == Optional(True, 3)
