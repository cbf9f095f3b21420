//! How the process ends, for scripts: documented in docs/streamctl.md.

use std::process::ExitCode;

/// All is well.
pub(crate) const OK: ExitCode = ExitCode::SUCCESS;
/// Problems in manifests, differences in a test, an expression that fails, or a failure while running.
pub(crate) const PROBLEMS: ExitCode = ExitCode::FAILURE;
/// A second signal ended it before it was done: 128 and the number of SIGINT, as shells count.
pub(crate) const INTERRUPTED: i32 = 130;

/// What was asked for makes no sense.
pub(crate) fn usage() -> ExitCode {
    ExitCode::from(2)
}
