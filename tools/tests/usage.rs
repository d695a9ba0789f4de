//! Help, wrong use, and how the command prints.

mod common;

use std::io::Read;
use std::process::Stdio;

use common::{ephapse, finish, refused, run, told};

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

#[test]
fn help_shows_examples() {
    for command in [
        "",
        "up",
        "hubs",
        "pub",
        "sub",
        "request",
        "reply",
        "subjects",
        "schema",
        "schema list",
        "schema show",
        "schema hash",
        "stat",
        "top",
        "graph",
        "metrics",
        "dump",
        "check",
        "doctor",
        "demo",
        "bench",
        "bench latency",
        "bench throughput",
        "bench load",
        "bench sweep",
        "bench intrinsic",
        "bench compare",
        "bench fanout",
        "bench failover",
        "bench reconnect",
        "bench join",
        "completions",
    ] {
        let output = run(command.split_whitespace().chain(["--help"]));
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(help.contains("Examples:\n"), "{command}: {help}");
        assert!(help.contains(&format!("  ephapse {command}")), "{command}: {help}");
        assert!(!help.contains("child-of") && !help.contains("role"), "{command}: {help}");
    }
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
