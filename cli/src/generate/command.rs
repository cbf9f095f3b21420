//! `generate`: what message-gen does, printed instead of published.

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;

use super::{Recipe, RecipeError, Schedule};
use crate::args;
use crate::clock::{Clock, micros};
use crate::exit;
use crate::load::Mark;
use crate::report::Finding;
use crate::style::Style;

/// Runs the command.
pub(crate) fn generate(args: &args::Generate) -> anyhow::Result<ExitCode> {
    let recipe = match Recipe::compile(&args.expression) {
        Ok(recipe) => recipe,
        Err(e) => {
            let finding = match e {
                RecipeError::Expression(d) => {
                    let mark = Mark {
                        line: d.line,
                        column: d.column,
                        length: d.span.len().max(1),
                    };
                    let excerpt = Some((args.expression.clone(), mark));
                    Finding {
                        help: d.help,
                        excerpt,
                        ..Finding::error(d.reason, d.message)
                    }
                }
                e => Finding::error("InvalidGenerator", e.to_string()),
            };
            say_text!("{}", finding.render(Style::of(&io::stderr())));
            return Ok(exit::PROBLEMS);
        }
    };
    let clock = Clock::start();
    let mut schedule = Schedule::new(
        clock.now(),
        micros(args.delay),
        Some(args.count).filter(|n| *n > 0),
    );
    let mut out = io::stdout();
    while let Some((due, number)) = schedule.next() {
        thread::sleep(clock.until(due));
        let mut line = recipe.message(number, due)?;
        line.push(b'\n');
        match out.write_all(&line).and_then(|()| out.flush()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => break,
            written => written?,
        }
        schedule.tick();
    }
    Ok(exit::OK)
}
