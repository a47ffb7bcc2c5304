//! The page's files, embedded in the program: no build step, and nothing fetched from elsewhere.

/// A file of the page.
pub struct Asset {
    path: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// Its text.
    pub content: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! assets {
    ($(($path:literal, $file:literal, $kind:expr)),* $(,)?) => {
        &[$(Asset { path: $path, kind: $kind, content: include_str!(concat!("assets/", $file)) }),*]
    };
}

const ASSETS: &[Asset] = assets![
    ("/", "index.html", HTML),
    ("/icon.svg", "icon.svg", SVG),
    ("/look.css", "look.css", CSS),
    ("/parts.css", "parts.css", CSS),
    ("/main.js", "main.js", SCRIPT),
    ("/session.js", "session.js", SCRIPT),
    ("/microphone.js", "microphone.js", SCRIPT),
    ("/microphone-worklet.js", "microphone-worklet.js", SCRIPT),
    ("/spectrogram.js", "spectrogram.js", SCRIPT),
    ("/colours.js", "colours.js", SCRIPT),
    ("/answer.js", "answer.js", SCRIPT),
    ("/stages.js", "stages.js", SCRIPT),
    ("/problems.js", "problems.js", SCRIPT),
    ("/history.js", "history.js", SCRIPT),
    ("/theme.js", "theme.js", SCRIPT),
    ("/words.js", "words.js", SCRIPT),
];

/// The file at a path.
pub fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_of_the_folder_is_served_and_names_no_other_site() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web/assets");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| format!("/{}", entry.unwrap().file_name().to_str().unwrap()))
            .map(|path| if path == "/index.html" { "/".to_owned() } else { path })
            .collect();
        assert_eq!(files, ASSETS.iter().map(|asset| asset.path.to_owned()).collect());
        for asset in ASSETS {
            // The SVG format's name is a URL that is never requested.
            let text = asset.content.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("://") || asset.path == "/session.js", "{}", asset.path);
        }
    }
}
