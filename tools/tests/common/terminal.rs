//! A terminal with somebody at its keys: tmux, with a server of its own.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::{PATIENCE, finish, told};

/// A screen on which one command runs. All of it ends with this.
pub(crate) struct Terminal {
    socket: String,
    home: tempfile::TempDir,
}

impl Terminal {
    /// Starts a shell's line in a terminal of this size. When it has ended, its exit code is shown,
    /// and whether the terminal is as it was.
    pub(crate) fn start(line: &str, width: u32, height: u32) -> Terminal {
        // Several in one process; each has a server.
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let socket = format!("ephapse-test-{}-{number}", std::process::id());
        let home = tempfile::tempdir().expect("a directory");
        let terminal = Terminal { socket, home };
        let write = |name: &str, text: &str| {
            let file = terminal.home.path().join(name);
            std::fs::write(&file, text).expect("a file");
            file
        };
        let script = format!(
            "before=$(stty -g)\nsh {}\necho \"ended $?\"\n\
             test \"$(stty -g)\" = \"$before\" && echo as before\nexec cat\n",
            write("line", line).display()
        );
        let file = write("script", &script);
        let (width, height) = (width.to_string(), height.to_string());
        let start = ["new-session", "-d", "-x", &width, "-y", &height];
        let shell = format!("sh {}", file.display());
        terminal.tmux(&[&start[..], &[&shell], &[";", "set", "-g", "status", "off"]].concat());
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.socket, "-f", "/dev/null"]).args(arguments);
        command.env("TMUX_TMPDIR", self.home.path()).env_remove("TMUX").env("LC_ALL", "C.UTF-8");
        for variable in ["EPHAPSE_DIR", "EPHAPSE_LOG", "NO_COLOR"] {
            command.env_remove(variable);
        }
        let output = finish(&mut command);
        assert!(
            output.status.success(),
            "tmux (is it installed?) {arguments:?}: {}",
            told(&output)
        );
        output
    }

    /// Types keys, by their names in tmux.
    pub(crate) fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    pub(crate) fn resize(&self, width: u32, height: u32) {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    /// What is to be seen.
    pub(crate) fn screen(&self) -> String {
        String::from_utf8(self.tmux(&["capture-pane", "-p"]).stdout).expect("text")
    }

    /// Whether there are colours in it.
    pub(crate) fn colours(&self) -> bool {
        let screen = self.tmux(&["capture-pane", "-p", "-e"]).stdout;
        let screen = String::from_utf8(screen).expect("text");
        // Of the eight, or of the 256.
        ["\x1b[36m", ";36m", "38;5;"].iter().any(|code| screen.contains(code))
    }

    /// Waits until it shows all of these.
    pub(crate) fn shows(&self, expected: &[&str]) {
        self.until(&format!("{expected:?} is shown"), |screen| {
            expected.iter().all(|text| screen.contains(text))
        });
    }

    /// Waits until what is shown is as it should be.
    pub(crate) fn until(&self, what: &str, mut right: impl FnMut(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if right(&screen) {
                return;
            }
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}:\n{screen}");
            // Sleep: between two looks at the screen.
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.socket, "kill-server"]).env("TMUX_TMPDIR", self.home.path());
        let _ = command.output();
    }
}
