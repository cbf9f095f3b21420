//! Equal rows from Flink SQL and from the engine, and docs/windows.md says so.

// Helpers outside of the test functions may fail the test too.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;

use flink_parity::event::Input;
use flink_parity::queries::{Question, questions};
use flink_parity::reference::Flink;
use flink_parity::table::{Line, render, settle};
use flink_parity::{engine, rows};

const SEEDS: [u64; 4] = [1, 2, 3, 4];
/// That of the last input, unless another is asked for.
const DRAWN: u64 = 5;

fn inputs() -> Vec<Input> {
    let recorded = include_str!("../inputs/two-machines.jsonl");
    let mut inputs = vec![Input::recorded("two machines", 2000, recorded).unwrap()];
    inputs.extend(SEEDS.map(Input::random));
    // One more, of whoever asks: what is equal by chance doesn't stay so.
    let seed = std::env::var("FLINK_SEED").map_or(DRAWN, |seed| seed.parse().unwrap());
    println!("the last random input: FLINK_SEED={seed}; any other number draws another");
    inputs.push(Input::random(seed));
    inputs
}

#[test]
fn rows_are_those_of_flink() {
    let questions = questions();
    let inputs = inputs();
    let punctual: Vec<Input> = inputs.iter().skip(1).map(Input::punctual).collect();
    let ordered: Vec<Input> = inputs.iter().take(3).map(Input::in_order).collect();
    let mut asked: Vec<(&Input, Vec<&Question>)> = Vec::new();
    let mut ask = |input, about: &dyn Fn(&Question) -> bool| {
        asked.push((
            input,
            questions.iter().filter(|question| about(question)).collect(),
        ));
    };
    ask(&inputs[0], &|question| !question.ordered);
    for (input, punctual) in inputs[1..].iter().zip(&punctual) {
        ask(input, &|question| !question.ordered && !question.is_of_sessions());
        ask(punctual, &Question::is_of_sessions);
    }
    for input in &ordered {
        ask(input, &|question| question.ordered);
    }
    let drawn = [inputs.last(), punctual.last()].map(|input| input.unwrap().name.clone());
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let answers = Flink::build(target).unwrap().answers(&asked).unwrap();

    let mut wrong = Vec::new();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for ((input, asked), answer) in asked.iter().zip(&answers) {
        assert_eq!(input.name, answer.name);
        for question in asked {
            let name = question.name.as_str();
            if let Some(why) = answer.errors.get(name) {
                wrong.push(format!("{name}: Flink refuses {}: {why}", question.sql));
                continue;
            }
            let theirs = &answer.rows[name];
            match engine::rows(&question.query, input) {
                Err(error) => wrong.push(format!("{name}, {}: {error:#}", input.name)),
                Ok(ours) => {
                    let (missing, extra) = rows::difference(theirs, &ours, question.rounded);
                    if !missing.is_empty() || !extra.is_empty() {
                        let of = &input.name;
                        wrong.push(format!(
                            "{name}, {of}:\n  only Flink {missing:?}\n  only here  {extra:?}"
                        ));
                    }
                }
            }
            // The last random input may be another one, and the table is not.
            if !drawn.contains(&input.name) {
                let (inputs, rows) = counts.entry(name).or_default();
                *inputs += 1;
                *rows += theirs.len();
            }
        }
    }
    println!("{} questions over {} inputs", questions.len(), asked.len());
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );

    let lines: Vec<Line<'_>> = questions
        .iter()
        .map(|question| {
            let (inputs, rows) = counts[question.name.as_str()];
            Line {
                question,
                inputs,
                rows,
            }
        })
        .collect();
    assert!(
        lines.iter().all(|line| line.rows > 0),
        "a question that nothing answers shows nothing"
    );
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/windows.md");
    settle(&page, &render(&lines), std::env::var_os("UPDATE_TABLE").is_some()).unwrap();
}
