//! Chromium without a window, driven by its DevTools protocol.
//!
//! The protocol goes over two pipes (`--remote-debugging-pipe`): no port is open, nothing has to be waited for, and JSON, which is here
//! anyway, is all that it takes. A driver from a registry would bring a runtime and WebSockets for the same few commands.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::wait;

/// The program, as Debian calls it.
pub const PROGRAM: &str = "chromium";

/// What keeps it from talking to anybody by itself, from asking for a sandbox that root cannot have, and from waiting for a click
/// before it plays.
const FLAGS: [&str; 15] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--no-first-run",
    "--no-pings",
    "--disable-quic",
    "--disable-sync",
    "--disable-extensions",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-component-update",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--autoplay-policy=no-user-gesture-required",
    "--window-size=1280,1600",
];

/// How long an answer of the browser itself may take.
const SOON: Duration = Duration::from_secs(20);

/// A browser with one page. It is killed with this value.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    events: Vec<Value>,
    page: String,
    last: u64,
    log: PathBuf,
}

impl Browser {
    /// Starts it with a profile of its own in a folder.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(dir: &Path) -> Self {
        let log = dir.join("net-log.json");
        // The pipes are expected at these two numbers.
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >&2", "sh", PROGRAM])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", dir.join("profile").display()))
            .arg(format!("--log-net-log={}", log.display()))
            .arg("about:blank")
            .env("HOME", dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.join("browser.err")).expect("a log file"));
        let mut child = command.spawn().expect("a browser");
        let commands = child.stdin.take().expect("a pipe");
        let mut answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let (to, messages) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while answers
                .read_until(0, &mut message)
                .is_ok_and(|read| read > 0)
            {
                message.pop();
                let message = serde_json::from_slice(&std::mem::take(&mut message));
                if to.send(message.expect("JSON of the browser")).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            child,
            commands,
            messages,
            events: Vec::new(),
            page: String::new(),
            last: 0,
            log,
        };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let targets = self.tell("Target.getTargets", &json!({}));
        let targets = targets["targetInfos"].as_array().expect("targets").clone();
        let page = targets.iter().find(|one| one["type"] == "page");
        let id = page.expect("a page")["targetId"].clone();
        let attached = self.tell(
            "Target.attachToTarget",
            &json!({"targetId": id, "flatten": true}),
        );
        attached["sessionId"]
            .as_str()
            .expect("a session")
            .clone_into(&mut self.page);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            self.tell(&format!("{domain}.enable"), &json!({}));
        }
    }

    /// Gives a command, and waits for its answer.
    ///
    /// # Panics
    /// When there is none, or it is an error.
    pub fn tell(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut command = json!({"id": id, "method": method, "params": params});
        if !self.page.is_empty() {
            command["sessionId"] = self.page.clone().into();
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.commands
            .write_all(&bytes)
            .expect("a browser that reads");
        let end = Instant::now() + wait::patience(SOON);
        loop {
            let mut message = self
                .next(end)
                .unwrap_or_else(|| panic!("no answer to {command}"));
            if message["id"] == id {
                assert!(message["error"].is_null(), "{command}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    fn next(&mut self, end: Instant) -> Option<Value> {
        match self
            .messages
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the browser has ended"),
        }
    }

    /// The value of an expression on the page, which may be a promise of one.
    ///
    /// # Panics
    /// When it throws.
    pub fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.tell("Runtime.evaluate", &params);
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is something else than nothing, `false`, zero or an empty text; gives that.
    ///
    /// # Panics
    /// When it is not within `limit` and the [`patience`](wait::patience) for that.
    pub fn until(&mut self, expression: &str, limit: Duration) -> Value {
        let found = wait::until(limit, || {
            let value = self.value(expression);
            let empty = [json!(null), json!(false), json!(0), json!(""), json!(0.0)];
            (!empty.contains(&value)).then_some(value)
        });
        found.unwrap_or_else(|| panic!("{expression}: not even long after {limit:?}"))
    }

    /// Opens an address.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub fn open(&mut self, url: &str) {
        let answer = self.tell("Page.navigate", &json!({"url": url}));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
    }

    /// Clicks in the middle of the first element of a selector, as a mouse does, as soon as it is there.
    pub fn click(&mut self, selector: &str) {
        let middle = format!(
            "(() => {{ const one = document.querySelector({selector:?}); if (!one) return null; \
             one.scrollIntoView({{block: 'center', behavior: 'instant'}}); const at = one.getBoundingClientRect(); \
             return at.width ? [at.x + at.width / 2, at.y + at.height / 2] : null; }})()"
        );
        let at = self.until(&middle, SOON);
        for kind in ["mousePressed", "mouseReleased"] {
            let params =
                json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1});
            self.tell("Input.dispatchMouseEvent", &params);
        }
    }

    /// Puts a text in place of what is in a field.
    pub fn fill(&mut self, selector: &str, text: &str) {
        self.click(selector);
        self.value(&format!("document.querySelector({selector:?}).select()"));
        self.tell("Input.insertText", &json!({"text": text}));
    }

    /// Writes a picture of what is to be seen.
    ///
    /// # Panics
    /// When the file system refuses.
    pub fn picture(&mut self, file: &Path) {
        let picture = self.tell("Page.captureScreenshot", &json!({"format": "png"}));
        let picture = picture["data"].as_str().expect("a picture");
        let picture = BASE64.decode(picture.as_bytes()).expect("base64");
        fs::write(file, picture).expect("a file for a picture");
    }

    /// What the page has told so far under a name.
    pub fn told(&mut self, method: &str) -> Vec<Value> {
        while let Ok(message) = self.messages.try_recv() {
            self.events.push(message);
        }
        let told = self.events.iter().filter(|event| event["method"] == method);
        told.map(|event| event["params"].clone()).collect()
    }

    /// Ends it, and gives what pages have asked for by its own log: their sites, and the addresses. What people type is of no page.
    ///
    /// # Panics
    /// When it does not end, or has no log.
    pub fn end(mut self) -> Vec<(String, String)> {
        self.page.clear();
        self.tell("Browser.close", &json!({}));
        let ended = wait::until(SOON, || self.child.try_wait().expect("a child"));
        assert!(ended.is_some(), "the browser does not end");
        let log = fs::read(&self.log).expect("the log of the browser");
        let log: Value = serde_json::from_slice(&log).expect("a log that was finished");
        let begun = &log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"];
        assert!(begun.is_u64(), "the log has other words");
        let events = log["events"].as_array().expect("events").iter();
        let begun = events.filter(|event| event["type"] == *begun);
        let requests = begun.filter_map(|event| {
            let word = |name: &str| event["params"][name].as_str().map(str::to_owned);
            Some((word("initiator")?, word("url")?))
        });
        requests
            .filter(|(site, _)| site != "not an origin")
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
