//! Random expressions, mostly well-typed, and random messages for them to read.

use serde_json::{Map, Value as Json, json};

/// A random number generator (`SplitMix64`, <https://prng.di.unimi.it/splitmix64.c>): the same cases for a seed, always.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'x, T: ?Sized>(&mut self, from: &[&'x T]) -> &'x T {
        from[self.below(from.len())]
    }
}

/// An expression as a tree of text: pieces with children between them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pieces: Vec<String>,
    pub(crate) children: Vec<Node>,
    /// Whether it stands where only a.b may stand, in `has`.
    bare: bool,
    /// Whether it starts or ends with an operator, so that it needs parentheses as a part of others.
    operator: bool,
    parentheses: bool,
}

impl Node {
    pub(crate) fn leaf(text: &str) -> Node {
        Node {
            pieces: vec![text.to_owned()],
            children: Vec::new(),
            bare: false,
            operator: false,
            parentheses: false,
        }
    }

    /// The source; `erased` hides the types of all its parts from both compilers: `[x, v][0]` can be anything.
    pub(crate) fn source(&self, erased: bool) -> String {
        let mut out = String::new();
        self.write(erased, &mut out);
        out
    }

    fn write(&self, erased: bool, out: &mut String) {
        let around = match (erased, self.operator && self.parentheses) {
            (true, _) if !self.bare => ["[", ", v][0]"],
            (false, true) => ["(", ")"],
            _ => ["", ""],
        };
        *out += around[0];
        for (at, piece) in self.pieces.iter().enumerate() {
            *out += piece;
            if let Some(child) = self.children.get(at) {
                child.write(erased, out);
            }
        }
        *out += around[1];
    }

    /// How many nodes it has.
    pub(crate) fn len(&self) -> usize {
        1 + self.children.iter().map(Node::len).sum::<usize>()
    }

    /// The node at a place in pre-order.
    pub(crate) fn at_mut(&mut self, place: &mut usize) -> Option<&mut Node> {
        if *place == 0 {
            return Some(self);
        }
        *place -= 1;
        self.children.iter_mut().find_map(|child| child.at_mut(place))
    }
}

/// What each letter stands for: `$B` in a template is a bool, and so on. `%S` introduces a macro's variable that is a
/// string, for what follows it. A `~` in front marks operators.
#[rustfmt::skip]
const TEMPLATES: &[(char, &[&str])] = &[
    ('B', &[
        "~$B && $B", "~$B || $B", "~$B && $B && $B", "~$B || $B && $B", "~!$B", "~$A == $A", "~$A != $A",
        "~$N == $N", "~$J == $J", "~$J == $N", "~$J == $S", "~$J != $A", "~$I < $I", "~$N < $N", "~$N <= $N",
        "~$N > $N", "~$N >= $N", "~$J < $N", "~$J >= $J", "~$S < $S", "~$S >= $S", "~$S == $S", "~$T < $T",
        "~$T == $T", "~$P <= $P", "~$P == $P", "~$Y < $Y", "~$Y == $Y", "~$B == $B", "~$B < $B", "~$L == $L",
        "~$M == $M", "~$A in $L", "~$N in $L", "~$S in $E", "~$S in $M", "~$A in $M", "~$B ? $B : $B",
        "$S.contains($S)", "$S.startsWith($S)", "$S.endsWith($S)", "$S.matches($R)", "matches($S, $R)",
        "$L.all(%A, $B)", "$L.exists(%A, $B)", "$L.exists_one(%A, $B)", "$E.all(%S, $B)", "$E.exists(%S, $B)",
        "[$N, $N].exists(%N, $B)", "[$I, $I].all(%I, $B)", "$M.all(%S, $B)", "$M.exists(%S, $B)",
        "$M.exists_one(%S, $B)", "$L.all(%I, %A, $B)", "$L.exists(%I, %A, $B)", "$M.exists(%S, %A, $B)",
        "$M.existsOne(%S, %A, $B)", "$L.existsOne(%I, %A, $B)", "cel.bind(%A, $A, $B)", "cel.bind(%N, $N, $B)",
        "cel.bind(%B, $B, $B)", "~type($A) == $K", "~type($A) == type($A)", "bool($S)", "bool($B)",
        "math.isNaN($D)", "math.isInf($D)", "math.isFinite($J)", "has($H)", "~has($H) && $B",
    ]),
    ('I', &[
        "~$I + $I", "~$I - $I", "~$I * $I", "~$I / $I", "~$I % $I", "~-$I", "size($S)", "size($L)", "size($M)",
        "$S.size()", "$L.size()", "$M.size()", "size($Y)", "int($D)", "int($J)", "int($N)", "int($U)",
        "int($T)", "int($P)", "int($A)", "$S.indexOf($S)", "$S.indexOf($S, $G)", "$S.lastIndexOf($S)",
        "$S.lastIndexOf($S, $G)", "$T.getFullYear()", "$T.getMonth($Q)", "$T.getDate($Q)", "$T.getDayOfMonth()",
        "$T.getDayOfWeek($Q)", "$T.getDayOfYear($Q)", "$T.getHours($Q)", "$T.getMinutes($Q)", "$T.getSeconds()",
        "$T.getMilliseconds()", "$P.getHours()", "$P.getMinutes()", "$P.getSeconds()", "$P.getMilliseconds()",
        "~$B ? $I : $I", "math.abs($I)", "math.sign($I)", "math.bitAnd($I, $I)", "math.bitOr($I, $I)",
        "math.bitXor($I, $I)", "math.bitNot($I)", "math.bitShiftLeft($I, $G)", "math.bitShiftRight($I, $G)",
        "math.greatest($I, $I)", "math.least($I, $I, $I)", "cel.bind(%I, $I, $I)", "[$I, $I][$G]",
    ]),
    ('U', &[
        "~$U + $U", "~$U - $U", "~$U * $U", "~$U / $U", "~$U % $U", "uint($I)", "uint($J)", "uint($N)",
        "uint($D)", "~$B ? $U : $U", "math.bitAnd($U, $U)", "math.bitShiftLeft($U, $G)", "math.bitNot($U)",
        "math.abs($U)",
    ]),
    ('D', &[
        "~$D + $D", "~$D - $D", "~$D * $D", "~$D / $D", "~-$D", "~$J + $J", "~$J * $J", "~$J / $J", "~$J - $N",
        "~$N + $J", "~$D * $N", "~$N / $D", "~$I + $D", "~-$J", "double($I)", "double($U)", "double($N)",
        "double($S)", "math.ceil($D)", "math.floor($D)", "math.round($D)", "math.trunc($D)", "math.abs($D)",
        "math.sign($D)", "math.sqrt($N)", "math.greatest($D, $D)", "math.least($D, $N)", "~$B ? $D : $D",
    ]),
    ('N', &[
        "$I", "$D", "$D", "$U", "$J", "math.greatest($N, $N)", "math.least([$N, $N])", "~$D + $N", "~$N * $D",
        "~$D / $N",
    ]),
    ('S', &[
        "~$S + $S", "~$S + string($N)", "string($N)", "string($J)", "string($A)", "string($T)", "string($P)",
        "string($B)", "string($Y)", "$S.charAt($G)", "$S.lowerAscii()", "$S.upperAscii()", "$S.replace($S, $S)",
        "$S.replace($S, $S, $G)", "$S.substring($G)", "$S.substring($G, $G)", "$S.trim()", "$S.reverse()",
        "strings.quote($S)", "$E.join()", "$E.join($S)", "$L.join($S)", "~$B ? $S : $S", "'%s'.format([$A])",
        "'%s and %s'.format([$A, $A])", "'%d'.format([$N])", "'%.2f|%e'.format([$N, $N])",
        "'%x %X'.format([$I, $S])", "'%b%%%o'.format([$I, $U])", "$F.format([$A])", "$F.format([$N])",
        "cel.bind(%S, $S, $S)", "$S.split($S)[$G]", "$E[$G]",
    ]),
    ('Y', &[
        "bytes($S)", "~$Y + $Y", "~$B ? $Y : $Y",
    ]),
    ('T', &[
        "timestamp($X)", "timestamp($I)", "~$T + $P", "~$T - $P", "~$P + $T", "~$B ? $T : $T", "timestamp($T)",
    ]),
    ('P', &[
        "duration($V)", "~$T - $T", "~$P + $P", "~$P - $P", "~-$P", "~$B ? $P : $P",
    ]),
    ('L', &[
        "[$A]", "[$A, $A]", "[$N, $N, $N]", "[$I, $I]", "[$S, $S]", "[$B, $B]", "[]", "~$L + $L",
        "$L.map(%A, $A)", "$L.map(%A, $N)", "$L.map(%A, $B, $A)", "$L.filter(%A, $B)", "[$N, $N].map(%N, $N)",
        "[$N, $N].filter(%N, $B)", "$S.split($S)", "$S.split($S, $G)", "$L.transformList(%I, %A, $A)",
        "$L.transformList(%I, %A, $B, $A)", "~$B ? $L : $L", "[$L, $L]", "[$M, $M]", "$E", "$O.map(%S, $A)",
    ]),
    // Lists of strings.
    ('E', &[
        "[$S, $S]", "[$S]", "$S.split($S)", "$E.map(%S, $S)", "$E.filter(%S, $B)", "~$E + $E",
    ]),
    ('M', &[
        "{'a': $A}", "{'a': $N, 'b': $S}", "{'i': $A, 'x': $A}", "{'a': $M}", "{1: $A, 2: $N}", "{true: $A}",
        "{$S: $A}", "{1u: $A}", "{}", "$M.transformMap(%S, %A, $A)", "$M.transformMap(%S, %A, $B, $A)",
        "$L.transformMap(%I, %A, $A)", "$L.transformMapEntry(%I, %A, {string($I): $A})",
        "$M.transformMapEntry(%S, %A, {$S: $A})", "~$B ? $M : $M", "cel.bind(%A, $A, $M)", "{$A: $A, $S: $A}",
    ]),
    // Maps with one entry at most: what walks them in order has one order.
    ('O', &[
        "{'k': $A}", "{$S: $A}", "{3: $A}", "{}",
    ]),
    ('A', &[
        "$B", "$I", "$U", "$D", "$N", "$S", "$Y", "$T", "$P", "$L", "$M", "$J", "$J", "$J", "null", "dyn($A)",
        "$L[$G]", "$L[$N]", "$M[$S]", "{'a': $A}.a", "{'a': {'b': $A}}.a.b", "$M['x']", "a[$S]", "a.l[$G]",
        "~$B ? $A : $A", "cel.bind(%A, $A, $A)", "type($A)", "$A.i", "$A[$A]",
    ]),
    // What is read from messages.
    ('J', &[
        "a.$W", "b.$W", "a.o.$W", "b.o.$W", "a[\"$W\"]", "b['o'].$W", "a.l[$G]", "b.lo[$G].$W", "n", "s", "l",
        "v",
    ]),
    // What `has` takes.
    ('H', &[
        "a.$W", "b.$W", "a.o.$W", "b.o.$W.$W", "a.$W.$W", "$M.a", "$M.a.b", "$J.$W", "$A.$W", "$J.$W.$W",
    ]),
    // Positions.
    ('G', &[
        "size($S)", "int($J)", "$I",
    ]),
];

/// What stands where nothing nests any deeper.
#[rustfmt::skip]
const LEAVES: &[(char, &[&str])] = &[
    ('B', &[
        "true", "false", "a.t", "b.t", "a.o.t",
    ]),
    ('I', &[
        "0", "1", "2", "3", "-1", "7", "10", "60", "64", "255", "-2", "0x1F", "1000000", "-7",
        "9223372036854775807", "(-9223372036854775808)", "1700000000", "size(l)", "int(n)", "int(a.i)",
    ]),
    // Positions.
    ('G', &[
        "0", "1", "0", "1", "2", "3", "-1", "size(s)",
    ]),
    ('U', &[
        "0u", "1u", "2u", "7u", "18446744073709551615u", "63u",
    ]),
    ('D', &[
        "0.0", "1.0", "0.5", "-1.5", "2.5", "1e3", "1e300", "1.0e-7", "-0.0", "0.1", "a.d", "b.i", "n", "3.0",
        "a.o.d",
    ]),
    ('N', &[
        "1", "2", "0", "2.0", "1.5", "1u", "a.i", "b.i", "a.d", "n",
    ]),
    ('S', &[
        "''", "'a'", "'text'", "\"b\"", "'ä中😀'", "'a,b,c'", "' x\\t'", "'12'", "'-3.5'", "'i'", "'x'", "a.s",
        "b.s", "s", "'90s'", "'true'", "r'\\d'", "'AbC'", "'\\u00e9\\n'", "'1e3'", "a.o.s",
    ]),
    ('Y', &[
        "b''", "b'a'", "b'\\x00\\xff'", "b'ä'", "bytes(s)",
    ]),
    // Timestamps as text, and durations.
    ('X', &[
        "'2026-11-23T08:30:00Z'", "'2024-02-29T23:59:59.999Z'", "'1969-07-20T20:17:40Z'",
        "'0001-01-01T00:00:00Z'", "'9999-12-31T23:59:59.999999999Z'", "'2026-03-29T02:30:00+01:00'", "a.ts",
        "b.ts", "'2026-02-30T00:00:00Z'", "s",
    ]),
    ('V', &[
        "'1s'", "'-1.5h'", "'100ms'", "'0'", "'1us'", "'1h2m3.5s'", "'24h'", "'100000h'", "'0.000001m'", "s",
        "'1d'",
    ]),
    ('T', &[
        "timestamp('2026-11-23T08:30:00Z')", "timestamp('2024-02-29T23:59:59.999Z')", "timestamp(0)",
        "timestamp(1700000000)", "timestamp('9999-12-31T23:59:59.999999999Z')", "timestamp(a.ts)",
    ]),
    ('P', &[
        "duration('1s')", "duration('-1.5h')", "duration('100ms')", "duration('0s')", "duration('1us')",
        "duration('100000h')", "duration('90m')",
    ]),
    ('L', &[
        "[]", "[1, 2, 3]", "['a', 'b']", "[1.5, 2, 'x', null]", "a.l", "b.l", "l", "a.lo", "b.ls",
        "[true, false]", "[[1], [2]]",
    ]),
    // Lists of strings.
    ('E', &[
        "['a', 'b']", "['x']", "[]", "b.ls", "a.ls", "'a,b'.split(',')",
    ]),
    ('M', &[
        "{}", "{'a': 1}", "{'a': {'b': 2}}", "{'i': 1.5, 'x': 'y'}", "a", "b", "a.o", "b.o", "{1: 'one'}",
        "{'a': [1]}",
    ]),
    // Maps with one entry at most: what walks them in order has one order.
    ('O', &[
        "{}", "{'k': 1}", "{'k': {'i': 2}}", "{1: 'one'}",
    ]),
    ('A', &[
        "null", "1", "'a'", "2.5", "true", "a.i", "b.s", "v", "l", "a", "b.o", "n", "s", "[1]", "{'a': 1}",
        "timestamp(0)",
    ]),
    // What is read from messages.
    ('J', &[
        "a.i", "a.d", "a.s", "a.t", "a.z", "a.l", "a.o", "b.i", "b.o.i", "b.lo", "n", "s", "v", "l", "b.o.d",
        "b.t", "a.nope",
    ]),
    // What `has` takes.
    ('H', &[
        "a.i", "a.nope", "b.o.i", "a.o.o.i", "b.s.x", "a.l.x", "v.i", "n.x",
    ]),
    ('K', &[
        "int", "uint", "double", "string", "bool", "bytes", "list", "map", "null_type", "type",
        "google.protobuf.Timestamp",
    ]),
    ('R', &[
        "'a'", "'^a'", "'b$'", "'.'", "''", "r'\\d+'", "r'^\\w*$'", "'[a-c]+'", "'(?i)TEXT'", "'a|b'",
        "'x{2,3}'", "'['", "r'\\s'", "'[^a]'", "'ä.'", "s", "a.s", "r'\\bx\\b'", "r'\\pL'", "r'[^\\W]'",
        "r'\\S'",
    ]),
    ('Q', &[
        "'UTC'", "'Europe/Berlin'", "'America/New_York'", "'Asia/Kolkata'", "'+02:00'", "'-05:30'", "'Nowhere'",
        "''", "'Pacific/Apia'",
    ]),
    ('F', &[
        "'%s'", "'%d'", "'%.2f'", "'%e'", "'%x'", "'%s and %s'", "'%b'", "'%o'", "'%%'", "'%.3e|%X'", "'%f %s'",
        "'a'", "s", "'%X'",
    ]),
    // Fields' names.
    ('W', &[
        "i", "d", "s", "t", "z", "l", "o", "x", "nope", "ls", "lo",
    ]),
];

fn of<'t>(table: &[(char, &'t [&'t str])], letter: char) -> &'t [&'t str] {
    table
        .iter()
        .find(|(name, _)| *name == letter)
        .map_or(&[], |(_, list)| list)
}

/// A random expression of the type that a letter stands for.
pub(crate) fn expression(rng: &mut Rng, letter: char, depth: usize) -> Node {
    node(rng, letter, depth, &mut Vec::new())
}

fn node(rng: &mut Rng, letter: char, depth: usize, locals: &mut Vec<(String, char)>) -> Node {
    // What has a fixed form, or text that is made for its place.
    let fixed = "WKHRQFXV".contains(letter);
    // Now and then something else stands where this type belongs.
    let letter = if !fixed && rng.chance(2) {
        *rng.pick(&[&'A', &'B', &'S', &'N', &'L'])
    } else {
        letter
    };
    if let Some((name, _)) = locals.get(rng.below(locals.len().max(1))).filter(|(_, known)| {
        let fits = *known == letter || letter == 'A' || (letter == 'N' && "ID".contains(*known));
        !fixed
            && rng.chance(if fits {
                40
            } else if *known == 'A' {
                8
            } else {
                1
            })
    }) {
        return Node::leaf(name);
    }
    let templates = of(TEMPLATES, letter);
    if depth == 0 || templates.is_empty() || rng.chance(8) {
        let leaves = of(LEAVES, letter);
        return Node {
            bare: letter == 'H',
            ..Node::leaf(rng.pick(leaves))
        };
    }
    let template = rng.pick(templates);
    let known = locals.len();
    let (operator, template) = template
        .strip_prefix('~')
        .map_or((false, template), |rest| (true, rest));
    let bind = template.starts_with("cel.bind");
    let mut made = Node {
        pieces: vec![String::new()],
        children: Vec::new(),
        bare: letter == 'H',
        operator,
        parentheses: rng.chance(85),
    };
    let mut own: Vec<(String, char)> = Vec::new();
    let mut letters = template.chars();
    while let Some(c) = letters.next() {
        match c {
            '$' => {
                let child = letters.next().unwrap();
                if child == 'W' {
                    // A field's name is no expression.
                    *made.pieces.last_mut().unwrap() += rng.pick(of(LEAVES, 'W'));
                    continue;
                }
                // The variable of cel.bind is not known in its value.
                if !(bind && made.children.is_empty()) {
                    locals.append(&mut own);
                }
                made.children.push(node(rng, child, depth - 1, locals));
                made.pieces.push(String::new());
            }
            '%' => {
                let name = rng.pick(&["x", "y", "e", "k", "_v", "a", "size"]);
                let taken = own.iter().any(|(local, _)| local == name);
                let name = if taken {
                    format!("{name}2")
                } else {
                    name.to_owned()
                };
                *made.pieces.last_mut().unwrap() += &name;
                own.push((name, letters.next().unwrap()));
            }
            other => made.pieces.last_mut().unwrap().push(other),
        }
    }
    locals.truncate(known);
    made
}

/// Random variables: two messages, and one value of each sort.
pub(crate) fn data(rng: &mut Rng) -> Json {
    json!({"a": message(rng, 2), "b": message(rng, 2), "n": number(rng), "s": text(rng), "l": list(rng, 1), "v": any(rng, 2)})
}

fn message(rng: &mut Rng, depth: usize) -> Json {
    let mut members = Map::new();
    for name in ["i", "d", "s", "t", "z", "l", "ls", "lo", "o", "ts", "x"] {
        if rng.chance(6) {
            continue;
        }
        let value = match name {
            _ if rng.chance(4) => any(rng, 1),
            "i" => json!(rng.below(12)),
            "d" => number(rng),
            "s" => text(rng),
            "t" => json!(rng.chance(50)),
            "z" => Json::Null,
            "l" => Json::Array((0..rng.below(4)).map(|_| number(rng)).collect()),
            "ls" => Json::Array((0..rng.below(4)).map(|_| text(rng)).collect()),
            "lo" if depth > 0 => Json::Array((0..rng.below(3)).map(|_| message(rng, 0)).collect()),
            "o" if depth > 0 => message(rng, depth - 1),
            "ts" => json!("2026-11-23T08:30:00.25Z"),
            _ => continue,
        };
        members.insert(name.to_owned(), value);
    }
    Json::Object(members)
}

fn any(rng: &mut Rng, depth: usize) -> Json {
    match rng.below(7) {
        0 => Json::Null,
        1 => json!(rng.chance(50)),
        2 | 3 => number(rng),
        4 => list(rng, depth),
        5 if depth > 0 => message(rng, depth - 1),
        _ => text(rng),
    }
}

fn list(rng: &mut Rng, depth: usize) -> Json {
    let length = rng.below(4);
    Json::Array(
        (0..length)
            .map(|_| {
                if depth > 0 {
                    any(rng, depth - 1)
                } else {
                    number(rng)
                }
            })
            .collect(),
    )
}

fn number(rng: &mut Rng) -> Json {
    match rng.below(6) {
        0 => json!(rng.below(1000)),
        1 => json!(-1 - i64::try_from(rng.below(1000)).unwrap()),
        2 => json!(0.25 * f64::from(u32::try_from(rng.below(100)).unwrap())),
        3 => json!(rng.below(4)),
        _ => {
            let text = rng.pick(&[
                "0",
                "-0.0",
                "1.0",
                "0.1",
                "1e15",
                "9007199254740991",
                "-9007199254740991",
                "1e300",
                "-1e300",
                "5e-324",
                "1e-7",
                "1700000000",
                "2.5",
                "1e21",
                "3.14159",
                "100",
            ]);
            serde_json::from_str(text).unwrap()
        }
    }
}

fn text(rng: &mut Rng) -> Json {
    json!(rng.pick(&[
        "",
        "a",
        "text",
        "ä中😀",
        "12",
        "-3",
        "2.5",
        "a,b",
        "2026-11-23T08:30:00Z",
        "90s",
        "true",
        "i",
        "x",
        "%s",
        "UTC",
        "[a-z]+",
        "tExT ",
        "\u{0}\n\"\\",
        "ß",
        "null",
    ]))
}
