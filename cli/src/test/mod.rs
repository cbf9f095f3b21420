//! `test`: recorded input through a pipeline on a virtual clock, and every delivery compared with what is expected.

mod case;
mod compare;
mod cut;
mod diff;
mod json;
mod record;
mod simulate;

use std::process::ExitCode;
use std::time::Instant;

use crate::args;
use crate::exit;
use crate::report;
use crate::style::Style;
use case::Case;
use cut::Cuts;
use diff::Strictness;
use simulate::Recording;

pub(crate) use record::seconds;

/// Runs the command.
pub(crate) fn test(args: &args::Test) -> anyhow::Result<ExitCode> {
    let (out, err) = (Style::of(&std::io::stdout()), Style::of(&std::io::stderr()));
    let folders = match case::discover(&args.paths) {
        Ok(folders) => folders,
        Err(message) => {
            say!("{}: {message}", err.error("error"));
            return Ok(exit::usage());
        }
    };
    let mut failed = 0;
    let seed = args.seed.unwrap_or_else(cut::fresh_seed);
    for folder in &folders {
        let case = Case::read(folder, args.update);
        for finding in &case.findings {
            say_text!("{}", finding.render(err));
        }
        let name = report::printable(&folder.display().to_string());
        let verdict = if report::any_error(&case.findings) {
            tell!(
                "{} {name}: {}",
                out.error("FAIL"),
                report::tally(&case.findings).unwrap_or_default()
            );
            false
        } else {
            one(&case, &name, args, seed, out)?
        };
        failed += usize::from(!verdict);
    }
    if folders.len() > 1 {
        tell!("{} of {} passed", folders.len() - failed, folders.len());
    }
    Ok(if failed == 0 { exit::OK } else { exit::PROBLEMS })
}

/// One folder; says whether it is as it should be.
fn one(case: &Case, name: &str, args: &args::Test, seed: u64, style: Style) -> anyhow::Result<bool> {
    let started = Instant::now();
    let recording = simulate::simulate(case, &mut Cuts::none())?;
    if args.update {
        let written = compare::update(case, &recording)?;
        tell!("{} {name}: wrote {written} files", style.good("ok"));
        return Ok(true);
    }
    let mut good = true;
    match compare::with_expected(case, &recording, style) {
        None => tell!(
            "{} {name}: {} messages, {} deliveries, {} s in {} ms",
            style.good("ok"),
            case.messages(),
            recording.deliveries(),
            record::seconds(recording.end),
            started.elapsed().as_millis()
        ),
        Some(text) => {
            tell!("{} {name}\n{text}", style.error("FAIL"));
            good = false;
        }
    }
    if let Some(points) = args.cut {
        good &= cut_and_resume(case, name, points, seed, &recording, style)?;
    }
    Ok(good)
}

/// The same again with crashes on the way, compared with the run without.
fn cut_and_resume(
    case: &Case,
    name: &str,
    points: u32,
    seed: u64,
    whole: &Recording,
    style: Style,
) -> anyhow::Result<bool> {
    let mut cuts = Cuts::random(points, seed, whole);
    let resumed = simulate::simulate(case, &mut cuts)?;
    let how = format!("{} crashes (--cut {points} --seed {seed})", cuts.made());
    match compare::two_runs(whole, &resumed, Strictness::Data, style) {
        None => {
            tell!("{} {name}: same rows after {how}", style.good("ok"));
            Ok(true)
        }
        Some(text) => {
            tell!("{} {name}: other rows after {how}\n{text}", style.error("FAIL"));
            Ok(false)
        }
    }
}
