//! Random expressions over random data, in bulk; what differs is made small before it is shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::compare::{Verdict, compare};
use crate::generate::{Node, Rng, data, expression};
use crate::oracle::{Answer, ask_all};
use crate::support::{Outcome, eval};

/// What CI runs.
const SEED: u64 = 20_261_123;
const CASES: usize = 20_000;
/// Expressions that are asked at once.
const BATCH: usize = 5_000;
/// Differences that are made small and shown.
const SHOWN: usize = 20;

#[derive(Clone)]
struct Case {
    tree: Node,
    data: Json,
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

#[test]
fn random_expressions_evaluate_as_in_cel_go() {
    let seed = setting("CEL_SEED", SEED);
    let count = usize::try_from(setting("CEL_CASES", CASES as u64)).unwrap();
    let mut rng = Rng(seed);
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    let mut differing = Vec::new();
    let mut done = 0;
    while done < count && differing.len() < SHOWN {
        let cases: Vec<Case> = (0..BATCH.min(count - done)).map(|_| case(&mut rng)).collect();
        done += cases.len();
        let verdicts = verdicts_of(&cases, &mut tally);
        for (case, verdict) in cases.into_iter().zip(verdicts) {
            if verdict == Verdict::Different {
                differing.push(case);
            }
        }
    }
    println!("{done} random expressions, seed {seed}: {tally:?}");
    let shown: Vec<String> = differing
        .iter()
        .take(SHOWN)
        .map(|case| show(&shrink(case)))
        .collect();
    let all = differing.len();
    assert!(
        differing.is_empty(),
        "CEL_SEED={seed}: {all} of {done} differ, such as:\n{}",
        shown.join("\n")
    );
}

fn case(rng: &mut Rng) -> Case {
    let letter = ['B', 'B', 'A', 'N', 'S', 'L', 'M', 'I', 'D', 'T'][rng.below(10)];
    let depth = 1 + rng.below(4);
    Case {
        tree: expression(rng, letter, depth),
        data: data(rng),
    }
}

/// How the engine's answers relate to cel-go's. What the engine refuses early although cel-go gives a value is asked
/// again with the types hidden from both compilers: then they have to agree.
fn verdicts_of(cases: &[Case], tally: &mut BTreeMap<&'static str, usize>) -> Vec<Verdict> {
    let mut verdicts = ask(cases, false);
    let strict: Vec<usize> = (0..cases.len())
        .filter(|at| verdicts[*at] == Verdict::Stricter)
        .collect();
    let again: Vec<Case> = strict.iter().map(|at| cases[*at].clone()).collect();
    for (at, verdict) in strict.into_iter().zip(ask(&again, true)) {
        if matches!(verdict, Verdict::Different | Verdict::Stricter) {
            verdicts[at] = Verdict::Different;
        }
    }
    for verdict in &verdicts {
        *tally.entry(verdict.label()).or_default() += 1;
    }
    verdicts
}

fn ask(cases: &[Case], erased: bool) -> Vec<Verdict> {
    let sources: Vec<String> = cases.iter().map(|case| case.tree.source(erased)).collect();
    let questions: Vec<(&str, &Json)> = sources
        .iter()
        .map(String::as_str)
        .zip(cases.iter().map(|case| &case.data))
        .collect();
    // cel-go and the engine work at the same time.
    std::thread::scope(|scope| {
        let theirs = scope.spawn(|| ask_all(&questions));
        let halves = questions.chunks(questions.len().div_ceil(2).max(1));
        let evaluate = |half: &[(&str, &Json)]| {
            half.iter()
                .map(|(source, data)| eval(source, data))
                .collect::<Vec<_>>()
        };
        let ours: Vec<_> = halves.map(|half| scope.spawn(move || evaluate(half))).collect();
        let ours = ours.into_iter().flat_map(|half| half.join().unwrap());
        let ours: Vec<Outcome> = ours.collect();
        ours.iter()
            .zip(theirs.join().unwrap())
            .map(|(ours, theirs)| compare(ours, &theirs))
            .collect()
    })
}

/// A smaller case that differs too: nodes give way to their children or to literals, and members of the data go, as
/// long as the answers differ.
fn shrink(case: &Case) -> Case {
    let mut best = case.clone();
    loop {
        let candidates = smaller(&best);
        let verdicts = verdicts_of(&candidates, &mut BTreeMap::new());
        let found = candidates
            .into_iter()
            .zip(verdicts)
            .find(|(_, verdict)| *verdict == Verdict::Different);
        match found {
            Some((candidate, _)) => best = candidate,
            None => return best,
        }
    }
}

fn smaller(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    for place in 0..case.tree.len() {
        let mut at = place;
        let Some(node) = case.tree.clone().at_mut(&mut at).cloned() else {
            continue;
        };
        let literals = ["1", "true", "''", "1.5", "null", "[]", "{}", "[1]", "'a'"]
            .iter()
            .map(|text| Node::leaf(text));
        let literals = literals.filter(|_| !node.children.is_empty());
        for other in node.children.clone().into_iter().chain(literals) {
            let mut tree = case.tree.clone();
            if let Some(node) = tree.at_mut(&mut { place }) {
                *node = other;
                found.push(Case {
                    tree,
                    data: case.data.clone(),
                });
            }
        }
    }
    for (name, value) in case.data.as_object().unwrap() {
        for member in value.as_object().into_iter().flatten().map(|(member, _)| member) {
            let mut data = case.data.clone();
            data[name].as_object_mut().unwrap().remove(member);
            found.push(Case {
                tree: case.tree.clone(),
                data,
            });
        }
    }
    found
}

fn show(case: &Case) -> String {
    let source = case.tree.source(false);
    let answer = |source: &str| -> (Outcome, Answer) {
        (
            eval(source, &case.data),
            ask_all(&[(source, &case.data)]).remove(0),
        )
    };
    let (ours, theirs) = answer(&source);
    let mut text = format!(
        "{source}\n  data:   {}\n  engine: {ours:?}\n  cel-go: {theirs:?}",
        case.data
    );
    if compare(&ours, &theirs) == Verdict::Stricter {
        let erased = case.tree.source(true);
        let (ours, theirs) = answer(&erased);
        let _ = write!(
            text,
            "\n  with hidden types: {erased}\n  engine: {ours:?}\n  cel-go: {theirs:?}"
        );
    }
    text
}
