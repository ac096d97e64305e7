//! Colours, and whether to use them.
//!
//! Invariant: no escape code is written unless standard output is a terminal and NO_COLOR is unset or empty.

use std::io::IsTerminal;

/// Paints text, or leaves it alone.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    on: bool,
}

impl Style {
    /// As standard output deserves.
    pub fn stdout() -> Style {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Style { on: !refused && !dumb && std::io::stdout().is_terminal() }
    }

    /// Leaves all text alone.
    #[cfg(test)]
    pub fn plain() -> Style {
        Style { on: false }
    }

    /// Headings.
    pub fn bold(self, text: impl AsRef<str>) -> String {
        self.paint("1", text.as_ref())
    }

    /// What matters less.
    pub fn dim(self, text: impl AsRef<str>) -> String {
        self.paint("2", text.as_ref())
    }

    /// What is wrong, or taken away.
    pub fn red(self, text: impl AsRef<str>) -> String {
        self.paint("31", text.as_ref())
    }

    /// What is right, or added.
    pub fn green(self, text: impl AsRef<str>) -> String {
        self.paint("32", text.as_ref())
    }

    /// What wants attention, or was changed.
    pub fn yellow(self, text: impl AsRef<str>) -> String {
        self.paint("33", text.as_ref())
    }

    /// Bars, names.
    pub fn cyan(self, text: impl AsRef<str>) -> String {
        self.paint("36", text.as_ref())
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_style_that_is_on_paints() {
        assert_eq!(Style { on: true }.red("no"), "\x1b[31mno\x1b[0m");
        assert_eq!(Style { on: true }.red(""), "");
        assert_eq!(Style::plain().red("no"), "no");
    }
}
