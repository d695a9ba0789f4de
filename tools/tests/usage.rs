//! Help, wrong use, and how the command prints.

mod common;

use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Read};
use std::process::{Command, Stdio};

use common::{ephapse, finish, names_in, refused, run, told};

#[test]
fn wrong_use_is_exit_code_2() {
    for arguments in [
        &[][..],
        &["no-such-command"],
        &["up", "--no-such-flag"],
        &["demo", "--duration", "soon"],
        &["demo", "--duration", "400days"],
        &["demo", "--output", "file"],
        &["--color", "sometimes", "hubs"],
        &["completions", "no-such-shell"],
        &["pub"],
        &["pub", "a..b"],
        &["pub", "a.*"],
        &["pub", "a", "--count", "0"],
        &["pub", "a", "--rate", "0"],
        &["pub", "a", "-H", "no colon"],
        &["sub"],
        &["sub", "a.>.b"],
        &["sub", "a", "--raw", "--json"],
        &["sub", "a", "--timeout", "soon"],
        &["request", "a b"],
        &["reply", "a*"],
        &["reply", "a", "--body", "x", "--command", "y"],
        &["subjects", "a"],
        &["hz"],
        &["bw", "a", "--every", "0s"],
        &["delay", "a.>.b"],
        &["monitor", "--size", "1k"],
        &["capture"],
        &["replay"],
        &["replay", "f", "--speed", "0"],
        &["replay", "f", "--map", "a"],
        &["replay", "f", "--from", "noon"],
        &["replay", "f", "--as-sources", "--name", "x"],
        &["man"],
        &["top", "-n", "0"],
        &["top", "--interval", "0.01"],
        &["top", "--view", "nothing"],
        &["graph", "--format", "png"],
        &["graph", "--json", "--format", "dot"],
        &["metrics", "--listen", "here"],
        &["dump", "--timeout", "soon"],
        &["doctor", "now"],
        &["schema", "show"],
        &["schema", "show", "a.B", "--c", "--json"],
        &["schema", "show", "--layout", "u8"],
    ] {
        let error = refused(&run(arguments), 2);
        assert!(error.contains("Usage") || error.contains("--help"), "{arguments:?}: {error}");
    }
}

/// What manual pages there are, and so which commands.
fn commands() -> Vec<String> {
    let pages = tempfile::tempdir().expect("a directory");
    let output = run([OsStr::new("man"), pages.path().as_os_str()]);
    assert!(output.status.success(), "{}", told(&output));
    let told: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    let mut commands = Vec::new();
    for name in names_in(pages.path()) {
        let path = pages.path().join(&name);
        assert!(told.contains(&path.display().to_string()), "{name}: {told:?}");
        let page = fs::read_to_string(&path).expect("text");
        for section in ["NAME", "SYNOPSIS", "OPTIONS", "EXAMPLES", "\"EXIT STATUS\""] {
            assert!(page.contains(&format!(".SH {section}\n")), "{name} without {section}: {page}");
        }
        commands.push(name.strip_suffix(".1").expect("a page").replace('-', " "));
    }
    commands.sort();
    commands
}

#[test]
fn every_command_has_a_page_and_a_help_with_examples() {
    let commands = commands();
    for known in ["ephapse", "ephapse sub", "ephapse bench join", "ephapse man", "ephapse replay"] {
        assert!(commands.iter().any(|command| command == known), "{known}: {commands:?}");
    }
    for command in commands {
        let output = run(command.split(' ').skip(1).chain(["--help"]));
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(help.contains("Examples:\n"), "{command}: {help}");
        assert!(help.contains(&format!("  {command}")), "{command}: {help}");
        assert!(help.contains("Exit codes:\n"), "{command}: {help}");
        assert!(!help.contains("child-of") && !help.contains("role"), "{command}: {help}");
    }
}

#[test]
fn flags_have_twins_in_the_environment() {
    let help = String::from_utf8(run(["sub", "--help"]).stdout).expect("text");
    assert!(help.contains("[env: EPHAPSE_DIR]") && help.contains("[env: EPHAPSE_COLOR]"), "{help}");
    let dir = tempfile::tempdir().expect("a directory");
    let place = dir.path().join("nobody is here");
    let error = refused(&finish(ephapse(["hubs"]).env("EPHAPSE_DIR", &place)), 1);
    assert!(error.contains("nobody is here") && !error.contains('\x1b'), "{error}");
    // The flag counts, if both are there; a variable that is empty counts as none.
    let mut both = ephapse(["hubs", "--dir", "/nonexistent/ephapse"]);
    let error = refused(&finish(both.env("EPHAPSE_DIR", &place).env("EPHAPSE_COLOR", "always")), 1);
    assert!(error.contains("/nonexistent/ephapse") && error.contains("\x1b["), "{error}");
    let mut empty = ephapse(["hubs"]);
    let error = refused(&finish(empty.env("EPHAPSE_DIR", "").env("XDG_RUNTIME_DIR", &place)), 1);
    assert!(error.contains("nobody is here/ephapse"), "{error}");
    let wrong = finish(ephapse(["hubs"]).env("EPHAPSE_COLOR", "sometimes"));
    assert!(refused(&wrong, 2).contains("sometimes"));
    let help = finish(ephapse(["--help"]).env("EPHAPSE_COLOR", "always"));
    assert!(help.stdout.contains(&0x1b), "{}", told(&help));
}

#[test]
fn no_colours_where_no_terminal_is() {
    let plain = run(["--help"]);
    assert!(!plain.stdout.contains(&0x1b), "{}", told(&plain));
    let error = run(["hubs", "--dir", "/nonexistent/ephapse"]);
    assert!(!refused(&error, 1).contains('\x1b'));
    let wanted = run(["--color", "always", "hubs", "--dir", "/nonexistent/ephapse"]);
    assert!(refused(&wanted, 1).contains("\x1b["));
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(["completions", shell]);
        assert!(output.status.success(), "{}", told(&output));
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        for command in ["ephapse", "hubs", "subjects", "drop-oldest"] {
            assert!(script.contains(command), "{shell}: {script}");
        }
    }
}

#[test]
fn shells_can_read_their_completions() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        fs::write(&file, run(["completions", shell]).stdout).expect("it can be written");
        match Command::new(shell).arg(check).arg(file.path()).output() {
            Ok(output) => assert!(output.status.success(), "{shell}: {}", told(&output)),
            // Not every machine has all of them.
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{shell}: {error}"),
        }
    }
}

#[test]
fn a_closed_standard_output_is_no_failure() {
    let mut command = ephapse(["completions", "bash"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let mut error = String::new();
    let stderr = child.stderr.as_mut().expect("a pipe");
    stderr.read_to_string(&mut error).expect("it can be read");
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{error}");
    assert_eq!(error, "");
}

#[test]
fn a_bad_log_level_is_named() {
    let output = finish(ephapse(["hubs"]).env("EPHAPSE_LOG", "ephapse=loud"));
    let error = refused(&output, 1);
    assert!(error.contains("EPHAPSE_LOG") && error.contains("loud"), "{error}");
}
