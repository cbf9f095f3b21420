//! Colours, where they are wanted.

use std::io::IsTerminal;

/// Whether text is coloured. Every use names what it marks, not a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style(bool);

impl Style {
    /// No colours.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self(false)
    }

    /// Colours if the stream is a terminal, unless `NO_COLOR` is set to anything or `TERM` is `dumb`.
    pub(crate) fn of(stream: &impl IsTerminal) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        Self(stream.is_terminal() && !unwanted)
    }

    /// An error, or what is missing.
    pub(crate) fn error(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// A warning.
    pub(crate) fn warning(self, text: &str) -> String {
        self.paint("1;33", text)
    }

    /// What is right, or what is there unexpectedly.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// A heading or a name.
    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What frames the rest.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
