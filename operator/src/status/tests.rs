use std::fmt::Write as _;

use insta::assert_snapshot;
use jiff::Timestamp;
use kube::runtime::events::EventType;

use super::*;
use crate::fixtures::{JOINER, PROCESSOR, STREAMS, resources};
use crate::validate::validate;

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).unwrap())
}

fn running() -> Outcome {
    Outcome::Applied(Rollout {
        available: true,
        stopped: false,
        reason: reason::RUNNING,
        message: "1 of 1 pod ready".into(),
    })
}

fn rolling() -> Outcome {
    Outcome::Applied(Rollout {
        available: false,
        stopped: false,
        reason: reason::ROLLING_OUT,
        message: "soon".into(),
    })
}

fn kept() -> Outcome {
    let Outcome::Applied(rollout) = running() else {
        unreachable!()
    };
    Outcome::Kept(Some(rollout))
}

/// The status of one resource of a manifest.
fn of(manifest: &str, name: &str, outcome: &Outcome) -> Status {
    let all = resources(manifest);
    let verdicts = validate(&all);
    let place = all.iter().position(|resource| resource.name == name).unwrap();
    status(&all[place], &verdicts[place], outcome, &at(1000))
}

fn shown(status: &Status) -> String {
    let mut out = String::new();
    for condition in &status.conditions {
        let Condition {
            type_,
            status,
            reason,
            message,
            observed_generation,
            ..
        } = condition;
        assert_eq!(*observed_generation, Some(7));
        writeln!(out, "{type_}={status} {reason}").unwrap();
        for line in message.lines() {
            writeln!(out, "    {line}").unwrap();
        }
    }
    for Edge {
        from, to, guarantee, ..
    } in &status.edges
    {
        writeln!(out, "{from} -> {to}: {guarantee}").unwrap();
    }
    out
}

#[test]
fn of_what_is_well() {
    let manifest = format!("{STREAMS}{JOINER}{PROCESSOR}");
    let all = [
        ("broker", Outcome::NoWorkload),
        ("left", Outcome::NoWorkload),
        ("right", Outcome::NoWorkload),
        ("join", running()),
        ("proc", rolling()),
    ];
    let text: Vec<String> = all
        .iter()
        .map(|(name, outcome)| format!("# {name}\n{}", shown(&of(&manifest, name, outcome))))
        .collect();
    assert_snapshot!(text.join("\n"));
}

#[test]
fn of_what_is_not() {
    let broken = JOINER
        .replace("left.id == right.id", "left.id == rigth.id &&")
        .replace("[left, right]", "[left, middle]");
    let manifest = format!("{STREAMS}{broken}{PROCESSOR}");
    let kept = kept();
    let failed = Outcome::Failed {
        reason: reason::APPLY_FAILED,
        message: "the API server did not take Deployment `proc`: exceeded quota".into(),
    };
    let suspended = JOINER.replace("servicePort", "suspend: true\n  servicePort");
    let text = [
        format!(
            "# broken, and still runs\n{}",
            shown(&of(&manifest, "join", &kept))
        ),
        format!(
            "# refused by the server\n{}",
            shown(&of(&manifest, "proc", &failed))
        ),
        format!(
            "# suspended\n{}",
            shown(&of(
                &format!("{STREAMS}{suspended}{PROCESSOR}"),
                "join",
                &rolling()
            ))
        ),
        format!(
            "# nobody reads it, and its properties are odd\n{}",
            shown(&of(
                &STREAMS
                    .replace("topic: left}", "topic: left, properties: {nonsense: 'x'}}")
                    .replace("[proc]", "[]"),
                "left",
                &Outcome::NoWorkload
            ))
        ),
    ];
    assert_snapshot!(text.join("\n"));
}

#[test]
fn a_condition_keeps_its_time_until_its_status_changes() {
    let all = resources(&format!("{STREAMS}{JOINER}{PROCESSOR}"));
    let verdicts = validate(&all);
    let mut joiner = all[3].clone();
    let times = |status: &Status| -> Vec<i64> {
        let conditions = status.conditions.iter();
        conditions
            .map(|condition| condition.last_transition_time.0.as_second())
            .collect()
    };
    joiner.status = status(&joiner, &verdicts[3], &rolling(), &at(1000));
    // Ready, Accepted, Resolved, Available.
    assert_eq!(times(&joiner.status), [1000; 4]);
    let again = status(&joiner, &verdicts[3], &rolling(), &at(2000));
    assert!(is_told(&joiner.status, &again));
    joiner.status = status(&joiner, &verdicts[3], &running(), &at(3000));
    assert_eq!(times(&joiner.status), [3000, 1000, 1000, 3000]);
}

#[test]
fn conditions_of_others_and_their_order_are_no_difference() {
    let ours = of(&format!("{STREAMS}{JOINER}{PROCESSOR}"), "join", &running());
    let mut there = ours.clone();
    there.conditions.reverse();
    let mut foreign = there.conditions[0].clone();
    foreign.type_ = "Reviewed".into();
    there.conditions.push(foreign);
    assert!(is_told(&there, &ours));
    // One of ours that is no longer true is.
    let mut stale = there.conditions[0].clone();
    stale.type_ = condition::WARNING.into();
    there.conditions.push(stale);
    assert!(!is_told(&there, &ours));
}

#[test]
fn events_tell_changes_and_nothing_twice() {
    let manifest = format!("{STREAMS}{JOINER}{PROCESSOR}");
    let told = |before: &Status, now: &Status| -> Vec<(EventType, String)> {
        let events = event::events(before, now).into_iter();
        events.map(|event| (event.type_, event.reason)).collect()
    };
    let new = Status::default();
    let (rolling, running) = (
        of(&manifest, "join", &rolling()),
        of(&manifest, "join", &running()),
    );
    assert_eq!(told(&new, &rolling), [(EventType::Normal, "RollingOut".into())]);
    assert_eq!(told(&rolling, &rolling), []);
    assert_eq!(told(&rolling, &running), [(EventType::Normal, "Running".into())]);
    // How many pods of many are ready is no news.
    let mut counted = running.clone();
    counted.conditions[0].message = "2 of 2 pods ready".into();
    assert_eq!(told(&running, &counted), []);

    let stuck = |message: &str| {
        let stuck = Outcome::Applied(Rollout {
            available: false,
            stopped: false,
            reason: reason::ROLLOUT_STUCK,
            message: message.into(),
        });
        of(&manifest, "join", &stuck)
    };
    assert_eq!(told(&stuck("1 of 2"), &stuck("0 of 2")), []);

    let broken = manifest.replace("left.id == right.id", "left.id == rigth.id");
    let broken = of(&broken, "join", &kept());
    assert_eq!(
        told(&running, &broken),
        [(EventType::Warning, "UnknownName".into())]
    );
    // Nor that its old pods are gone.
    let gone = manifest.replace("left.id == right.id", "left.id == rigth.id");
    let gone = of(&gone, "join", &Outcome::Kept(None));
    assert_eq!(told(&broken, &gone), []);
    let other = manifest.replace("left.id == right.id", "left.id == right_.id");
    let other = of(&other, "join", &kept());
    assert_eq!(
        told(&broken, &other),
        [(EventType::Warning, "UnknownName".into())]
    );

    let open = STREAMS.replace(
        "redisHost: 'redis:6379'",
        "redisHost: 'redis:6379', redisPassword: x",
    );
    let open = of(&open, "broker", &Outcome::NoWorkload);
    let expected = [
        (EventType::Normal, "Usable".into()),
        (EventType::Warning, "InlineCredential".into()),
    ];
    assert_eq!(told(&new, &open), expected);
}

#[test]
fn notes_fit_into_events() {
    let long = "ä".repeat(3000);
    let cut = text::cut(&long, text::MOST_OF_A_NOTE);
    assert!(cut.len() <= 1024 && cut.ends_with('…'), "{}", cut.len());
    assert_eq!(text::cut("short", 1024), "short");
}
