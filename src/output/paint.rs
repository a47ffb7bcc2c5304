//! Colours, if wanted: in a terminal, unless `NO_COLOR` is set.

use anstream::ColorChoice;
use anstream::stream::RawStream;
use anstyle::{AnsiColor, Style};

/// A match.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// A name.
pub const STRONG: Style = Style::new().bold();
/// No match.
pub const MISS: Style = AnsiColor::Yellow.on_default().bold();
/// Less important text.
pub const DIM: Style = Style::new().dimmed();

/// Whether a stream takes colours.
#[derive(Debug, Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    /// Follows NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM, and whether the stream is a terminal.
    pub fn of(stream: &impl RawStream) -> Paint {
        Paint(anstream::AutoStream::choice(stream) != ColorChoice::Never)
    }

    /// Text in a style.
    pub fn with(self, style: Style, text: &str) -> String {
        if self.0 { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_nothing_is_added() {
        assert_eq!(Paint(false).with(GOOD, "a"), "a");
        assert_eq!(Paint(true).with(STRONG, "a"), "\u{1b}[1ma\u{1b}[0m");
    }
}
