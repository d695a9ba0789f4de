//! `ephapse request` and `reply`, as processes that find one another.

mod common;

use std::fs::{self, File};

use common::domain::{Domain, Subscriber};
use common::{Running, finish, json, refused, told, wait_until};
use nix::sys::signal::Signal;
use serde_json::json;

#[test]
fn requests_are_answered() {
    let domain = Domain::new();
    let script = "tr a-z A-Z; printf %s \" $EPHAPSE_SUBJECT $EPHAPSE_SOURCE\"";
    let mut command = domain.command("reply loud.* --count 3 --name service --command");
    let service = Subscriber::start(command.arg(script));
    let answer = domain.run("request loud.a hello --name me --timeout 20s");
    assert!(answer.status.success(), "{}", told(&answer));
    assert_eq!(answer.stdout, b"HELLO loud.a me\n");
    let answer = domain.run("request loud.b --name me --timeout 20s --raw");
    assert_eq!(answer.stdout, b" loud.b me");
    let answer = json(&domain.run("request loud.c x --name me --timeout 20s --json"));
    assert_eq!((&answer["subject"], &answer["source"]), (&json!("loud.c"), &json!("service")));
    assert_eq!((&answer["text"], &answer["len"]), (&json!("X loud.c me"), &json!(11)));
    assert!(answer["took_ns"].as_u64() > Some(0) && answer["sequence"].as_u64() > Some(0));
    assert!(answer["correlation"].is_u64(), "{answer}");
    let (code, _, notes) = service.output();
    assert_eq!((code, notes.as_str()), (Some(0), "3 requests\n"));
}

#[test]
fn requests_with_bytes_and_other_answers() {
    let domain = Domain::new();
    let input: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let file = domain.home.path().join("input");
    fs::write(&file, &input).expect("it can be written");
    for command in ["reply same --count 1", "reply same --count 1 --command cat"] {
        let service = domain.start(command);
        let stdin = File::open(&file).expect("it was just written");
        let answer = finish(domain.command("request same - --raw --timeout 20s").stdin(stdin));
        assert!(answer.stdout == input, "{command}: {} bytes", answer.stdout.len());
        assert_eq!(service.output().0, Some(0));
    }
    let service = domain.start("reply version --body 1.2 --count 1");
    assert_eq!(domain.run("request version --timeout 20s").stdout, b"1.2\n");
    assert_eq!(service.output().0, Some(0));
}

#[test]
fn a_command_that_fails_is_an_empty_reply() {
    let domain = Domain::new();
    let mut command = domain.command("reply doomed --count 2 --command");
    let service = Subscriber::start(command.arg("echo partial; exit 3"));
    let replies = domain.start("sub ephapse.reply --json --count 1 --timeout 1s");
    for _ in 0..2 {
        let answer = domain.run("request doomed --timeout 20s --raw");
        assert_eq!((answer.status.code(), answer.stdout.len()), (Some(0), 0), "{}", told(&answer));
    }
    let (code, _, notes) = service.output();
    assert_eq!(code, Some(0));
    assert!(notes.contains("exit status: 3") && notes.contains("2 commands failed"), "{notes}");
    // Replies are for the one who asked, and nobody else sees them.
    assert_eq!(replies.output().0, Some(1));
}

#[test]
fn no_answer_is_an_error() {
    let domain = Domain::new();
    let error = refused(&domain.run("request sum 1"), 1);
    assert_eq!(
        error,
        "ephapse: error: nobody answers requests on sum: no hub has subscribed to it\n"
    );
    let _silent = domain.start("sub sum");
    let error = refused(&domain.run("request sum 1 --timeout 50ms"), 1);
    assert!(error.contains("no reply to a request on sum within 50ms"), "{error}");
}

#[test]
fn a_running_command_ends_with_the_one_who_runs_it() {
    let domain = Domain::new();
    let mut command = domain.command("reply slow --command");
    let mark = domain.home.path().join("started");
    let service = Subscriber::start(command.arg(format!("echo > {}; sleep 600", mark.display())));
    let request = Running::start(&mut domain.command("request slow --timeout 10m"));
    wait_until("the command runs", || mark.exists());
    service.running.signal(Signal::SIGTERM);
    assert_eq!(service.output().0, Some(0));
    drop(request);
}
