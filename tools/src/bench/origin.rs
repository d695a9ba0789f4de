//! Where a result comes from: machine, versions, command, time. Every result carries it.

use std::time::SystemTime;

use serde::Serialize;

use super::host::Machine;

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Origin {
    machine: Machine,
    versions: Versions,
    /// As it was typed.
    command: String,
    /// When the result was complete: UTC, RFC 3339.
    time: String,
}

#[derive(Clone, Debug, Serialize)]
struct Versions {
    ephapse: &'static str,
    /// The compiler.
    rustc: &'static str,
    /// `release`, or `debug`, whose times mean little.
    build: &'static str,
}

impl Origin {
    /// Of this process, now.
    pub(super) fn here() -> Origin {
        Origin {
            machine: Machine::here(),
            versions: Versions {
                ephapse: env!("CARGO_PKG_VERSION"),
                rustc: env!("EPHAPSE_RUSTC"),
                build: if cfg!(debug_assertions) { "debug" } else { "release" },
            },
            command: command(),
            time: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        }
    }

    /// For people: `CPU, Linux VERSION`.
    pub(super) fn machine(&self) -> String {
        let Machine { cpu, kernel, .. } = &self.machine;
        format!("{cpu}, Linux {kernel}")
    }

    /// All of it, as names and values.
    pub(super) fn facts(&self) -> Vec<(String, String)> {
        let Versions { ephapse, rustc, build } = self.versions;
        let Machine { cpu, kernel, processors } = &self.machine;
        let facts = [
            ("machine", format!("{cpu}, {processors} processors")),
            ("kernel", format!("Linux {kernel}")),
            ("versions", format!("ephapse {ephapse}, {build} build, {rustc}")),
            ("command", self.command.clone()),
            ("time", self.time.clone()),
        ];
        facts.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }
}

/// The arguments of this process, quoted where a shell would need it.
fn command() -> String {
    let arguments = std::env::args_os().skip(1);
    let quoted = arguments.map(|argument| quoted(&argument.to_string_lossy()));
    ["ephapse".to_owned()].into_iter().chain(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_=+,./:@%".contains(c);
    match !argument.is_empty() && argument.chars().all(is_plain) {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_typed_again() {
        assert_eq!(quoted("--rate=10k,max"), "--rate=10k,max");
        assert_eq!(quoted("lost=0,ratio_p50<1.5"), "'lost=0,ratio_p50<1.5'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn facts_are_all_there() {
        let facts = Origin::here().facts();
        assert!(facts.iter().all(|(_, value)| !value.is_empty()), "{facts:?}");
        assert!(facts[2].1.contains("rustc "), "{facts:?}");
    }
}
