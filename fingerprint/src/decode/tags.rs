//! Title, artist and album from the file, made safe to print.

use symphonia::core::meta::{MetadataRevision, StandardTag, Tag};

/// Most characters kept of a tag.
const MAX_CHARS: usize = 200;

/// What a file says about itself. No tag is empty, has control characters, or is longer than 200 characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// Title of the track.
    pub title: Option<String>,
    /// Artist of the track.
    pub artist: Option<String>,
    /// Album that contains the track.
    pub album: Option<String>,
}

impl Tags {
    /// Adds the tags of a metadata revision.
    pub(crate) fn add(&mut self, revision: &MetadataRevision) {
        let of_tracks = revision.per_track.iter().flat_map(|track| &track.metadata.tags);
        revision.media.tags.iter().chain(of_tracks).for_each(|tag| self.add_tag(tag));
    }

    fn add_tag(&mut self, tag: &Tag) {
        match &tag.std {
            Some(StandardTag::TrackTitle(text)) => offer(&mut self.title, text),
            Some(StandardTag::Artist(text)) => offer(&mut self.artist, text),
            Some(StandardTag::Album(text)) => offer(&mut self.album, text),
            _ => {}
        }
    }
}

/// The first tag of a kind wins, unless a later one begins with it: ID3v1 cuts off at 30 characters and is read
/// first.
fn offer(slot: &mut Option<String>, text: &str) {
    if let Some(text) = clean(text) {
        match slot {
            Some(known) if !text.starts_with(known.as_str()) => {}
            _ => *slot = Some(text),
        }
    }
}

/// Removes what could disturb a terminal: control characters, and marks that reverse the writing direction. Trims
/// spaces at both ends and cuts text that is too long.
fn clean(text: &str) -> Option<String> {
    let harmless = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let text: String =
        text.chars().filter(harmless).collect::<String>().trim().chars().take(MAX_CHARS).collect();
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_made_fit_to_print() {
        assert_eq!(clean("  A\u{1b}[31mB\n\0 "), Some("A[31mB".to_owned()));
        assert_eq!(clean("\u{202e}evil"), Some("evil".to_owned()));
        assert_eq!(clean(" \t\n"), None);
        assert_eq!(clean(&"é".repeat(500)).unwrap().chars().count(), MAX_CHARS);
    }

    #[test]
    fn a_cut_tag_gives_way_to_the_whole() {
        let mut slot = None;
        for text in ["A very long ti", "A very long title", "Another"] {
            offer(&mut slot, text);
        }
        assert_eq!(slot.as_deref(), Some("A very long title"));
    }
}
