//! A real Chromium, controlled by its driver over HTTP (W3C WebDriver), with a microphone that plays a file.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use crate::support::DEADLINE;

/// The JSON key of an element's identifier in WebDriver.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const POLL: Duration = Duration::from_millis(25);

/// Allows one browser at a time. With two, the cores would be overloaded and the sound would stutter.
static TURN: Mutex<()> = Mutex::new(());

/// Number of drivers started so far.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// How a browser is started.
#[derive(Default)]
pub struct Options<'a> {
    /// File that the microphone plays in a loop. Without it, the browser refuses the microphone.
    pub microphone: Option<&'a Path>,
    /// Width of the window in CSS pixels. 0 stands for 960.
    pub width: u32,
    /// Whether the system prefers dark pages.
    pub dark: bool,
}

/// A browser with one page. It ends when dropped.
pub struct Browser {
    driver: Child,
    agent: Agent,
    session: String,
    width: u32,
    _profile: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// Starts a browser. If there is none, says so and returns `None`, or fails if `PSI_SHAZAM_BROWSER` is `required`,
    /// as in CI.
    pub fn start(options: &Options) -> Option<Browser> {
        let found = Command::new("chromedriver").arg("--version").output();
        if found.is_err() {
            let required = std::env::var("PSI_SHAZAM_BROWSER").is_ok_and(|value| value == "required");
            assert!(!required, "chromedriver is not installed: apt-get install chromium chromium-driver");
            eprintln!("skipped: there is no chromedriver (apt-get install chromium chromium-driver)");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = TempDir::new().unwrap();
        let (driver, port) = start_driver();
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE));
        let agent: Agent = config.build().into();
        let base = format!("http://127.0.0.1:{port}/session");
        let width = if options.width == 0 { 960 } else { options.width };
        let mut browser = Browser { driver, agent, session: base, width, _profile: profile, _turn: turn };
        let wanted = capabilities(options, browser._profile.path());
        let created = browser.post("", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = format!("{}/{}", browser.session, created["sessionId"].as_str().unwrap());
        browser.resize(900);
        // Leaves the browser's own first page and drops its requests.
        browser.open("about:blank");
        browser.requests();
        let scheme = if options.dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        browser.devtools("Emulation.setEmulatedMedia", json!({ "features": features }));
        Some(browser)
    }

    /// Opens a page.
    pub fn open(&self, address: &str) {
        self.post("/url", &json!({ "url": address }));
    }

    /// Clicks as a mouse does: on whatever is visible there.
    pub fn click(&self, css: &str) {
        self.post(&format!("/element/{}/click", self.element(css)), &json!({}));
    }

    /// Chooses a file in a file input.
    pub fn choose(&self, css: &str, file: &Path) {
        self.post(
            &format!("/element/{}/value", self.element(css)),
            &json!({ "text": file.to_str().unwrap() }),
        );
    }

    /// Presses keys one after the other. They go to the focused element.
    pub fn press(&self, keys: &[char]) {
        let actions: Vec<Value> = keys
            .iter()
            .flat_map(|key| {
                ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
            })
            .collect();
        self.post(
            "/actions",
            &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] }),
        );
    }

    /// Runs a script in the page, as the body of a function, and returns its result.
    pub fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The visible text of an element. Empty if it is hidden.
    pub fn text(&self, css: &str) -> String {
        let text = self.run(&format!("const found = document.querySelector('{css}'); return found?.checkVisibility() ? found.innerText : ''"));
        text.as_str().unwrap().to_owned()
    }

    /// Waits until an expression is true in the page.
    #[track_caller]
    pub fn wait(&self, expression: &str) {
        let start = Instant::now();
        while self.run(&format!("return Boolean({expression})")) != json!(true) {
            let body = || self.run("return document.body.innerText");
            assert!(start.elapsed() < DEADLINE, "never: {expression}; {}", body());
            sleep(POLL);
        }
    }

    /// Saves a screenshot of the whole page among the build's results.
    pub fn screenshot(&self, name: &str) {
        self.wait("(document.getElementById('answer')?.getAnimations() ?? []).every((a) => a.playState === 'finished')");
        let tall = "[document.documentElement, document.querySelector('dialog[open]')].map((e) => e ? e.scrollHeight : 0)";
        let height = self.run(&format!("return Math.max(...{tall}) + 30")).as_u64().unwrap();
        self.resize(height.clamp(600, 4_000));
        let picture = self.devtools("Page.captureScreenshot", json!({ "format": "png" }));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.png")), base64(picture["data"].as_str().unwrap())).unwrap();
    }

    /// Messages that the page logged since the last call.
    pub fn complaints(&self) -> Vec<String> {
        self.log("browser").iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// All addresses that the browser requested for the page since the last call.
    pub fn requests(&self) -> Vec<String> {
        let address = |entry: &Value| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let params = &event["message"]["params"];
            if params["documentURL"].as_str().is_some_and(|page| page.starts_with("chrome://")) {
                return None;
            }
            let address = match event["message"]["method"].as_str()? {
                "Network.requestWillBeSent" => &params["request"]["url"],
                "Network.webSocketCreated" => &params["url"],
                _ => return None,
            };
            Some(address.as_str()?.to_owned())
        };
        self.log("performance").iter().filter_map(address).collect()
    }

    /// Runs a DevTools command of Chromium.
    pub fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Sets the height of the window.
    fn resize(&self, height: u64) {
        let size = json!({ "width": self.width, "height": height, "deviceScaleFactor": 1, "mobile": self.width < 500 });
        self.devtools("Emulation.setDeviceMetricsOverride", size);
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        self.post("/se/log", &json!({ "type": kind })).as_array().unwrap().clone()
    }

    fn element(&self, css: &str) -> String {
        let found = self.post("/element", &json!({ "using": "css selector", "value": css }));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        let address = format!("{}{path}", self.session);
        let request = self.agent.post(&address).header("content-type", "application/json");
        let mut response = request.send(body.to_string()).unwrap();
        // A screenshot has some megabytes.
        let text = response.body_mut().with_config().limit(64 << 20).read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert!(response.status().is_success(), "{path}: {answer}");
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ending the session ends the browser. Killing only the driver would leave it running.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Starts the driver and returns its port. If the driver chose a port itself, it would take a free one of IPv6, need
/// the same one of IPv4, and exit if any connection of this machine uses it. So this chooses a port below those that
/// systems give to connections, and tries another one if it is in use.
fn start_driver() -> (Child, u16) {
    let mut said = String::new();
    for _ in 0..10 {
        let port = 20_000 + (std::process::id() + 977 * STARTED.fetch_add(1, Ordering::Relaxed)) % 10_000;
        let mut driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        for line in lines.by_ref().map_while(Result::ok) {
            if line.contains("started successfully") {
                // A full pipe would stop it.
                std::thread::spawn(move || lines.for_each(drop));
                return (driver, port as u16);
            }
            said = said + &line + "\n";
        }
        let _ = driver.kill();
        said += &format!("chromedriver ended: {}\n", driver.wait().unwrap());
    }
    panic!("no driver that starts:\n{said}");
}

fn capabilities(options: &Options, profile: &Path) -> Value {
    let mut arguments: Vec<String> = [
        "--headless=new",
        "--no-sandbox", // CI runs as root, where the sandbox does not start
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
        "--use-fake-device-for-media-stream",
        "--lang=en-GB",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(format!("--user-data-dir={}", profile.display()));
    match options.microphone {
        Some(file) => {
            arguments.push("--use-fake-ui-for-media-stream".to_owned());
            arguments.push(format!("--use-file-for-fake-audio-capture={}", file.display()));
        }
        None => arguments.push("--deny-permission-prompts".to_owned()),
    }
    json!({
        "goog:chromeOptions": { "args": arguments },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
    })
}

/// Decodes base64 without line breaks.
fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().take_while(|&byte| byte != b'=').collect();
    digits
        .chunks(4)
        .flat_map(|four| {
            let bits = four.iter().fold(0u32, |bits, &byte| bits << 6 | u32::from(value(byte)));
            let bits = bits << (6 * (4 - four.len()));
            bits.to_be_bytes()[1..four.len()].to_vec()
        })
        .collect()
}
