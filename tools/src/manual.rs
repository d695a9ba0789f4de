//! The definition of all commands with what they have in common, and manual pages made of it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::cli::Cli;
use crate::ui::{Stream, Ui};

/// Behind the help of each command that has no others.
const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  failure
  2  wrong use";

/// Sections of a help whose name in a manual page is another.
const HEADINGS: [(&str, &str); 2] = [("Exit codes", "EXIT STATUS"), ("Examples", "EXAMPLES")];

/// All commands.
pub(crate) fn definition() -> Command {
    with_exit_codes(Cli::command())
}

fn with_exit_codes(command: Command) -> Command {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let command = if help.contains("Exit codes:\n") {
        command
    } else {
        command.after_help(format!("{}\n\n{EXIT_CODES}", help.trim_end()).trim_start().to_owned())
    };
    command.mut_subcommands(with_exit_codes)
}

/// Writes a page for each command, and says which.
pub(crate) fn write_pages(directory: &Path, ui: &Ui) -> Result<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    let mut definition = definition().disable_help_subcommand(true);
    definition.build();
    for command in all(&definition) {
        let version = concat!("ephapse ", env!("CARGO_PKG_VERSION"));
        let page = Man::new(command.clone()).source(version).manual("Ephapse");
        let path = directory.join(page.get_filename());
        let text = render(&page, command).context("cannot make a manual page")?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        ui.line(Stream::Out, path.display())?;
    }
    Ok(())
}

/// A command and all below it that are not hidden.
fn all(command: &Command) -> Vec<&Command> {
    let below = command.get_subcommands().filter(|command| !command.is_hide_set());
    [command].into_iter().chain(below.flat_map(all)).collect()
}

fn render(page: &Man, command: &Command) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        page.render_options_section(&mut text)?;
    }
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        page.render_subcommands_section(&mut text)?;
    }
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    after_help(&help).to_writer(&mut text)?;
    if command.get_version().is_some() {
        page.render_version_section(&mut text)?;
    }
    Ok(text)
}

/// What stands behind the options: prose, and lists of lines that are kept as they are, each below
/// its name.
fn after_help(help: &str) -> Roff {
    let mut roff = Roff::new();
    for (index, part) in help.split("\n\n").filter(|part| !part.is_empty()).enumerate() {
        let (first, rest) = part.split_once('\n').unwrap_or((part, ""));
        match first.strip_suffix(':') {
            Some(name) if rest.starts_with("  ") => {
                let heading = HEADINGS.iter().find(|(known, _)| *known == name);
                let heading = heading.map_or_else(|| name.to_uppercase(), |(_, h)| (*h).to_owned());
                roff.control("SH", [heading.as_str()]);
                roff.control("nf", []);
                rest.lines().for_each(|line| {
                    roff.text([roman(line)]);
                });
                roff.control("fi", []);
            }
            _ => {
                roff.control(if index == 0 { "SH" } else { "PP" }, (index == 0).then_some("NOTES"));
                roff.text([roman(part.replace('\n', " "))]);
            }
        }
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands that print no data.
    const SILENT: [&str; 4] = ["reply", "completions", "man", "metrics"];

    /// The words of a line as a shell has them, up to what belongs to another command or is said
    /// about it.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word) = (Vec::new(), None::<String>);
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '|' | '<' | '>' | ';' | '#' | '&' => break,
                ' ' => {
                    words.extend(word.take());
                    // What follows is an explanation.
                    if letters.peek() == Some(&' ') {
                        break;
                    }
                }
                '\'' | '"' => {
                    let quoted = letters.by_ref().take_while(|other| *other != letter);
                    word.get_or_insert_default().extend(quoted);
                }
                letter => word.get_or_insert_default().push(letter),
            }
        }
        words.extend(word);
        words
    }

    #[test]
    fn lines_are_cut_into_words() {
        assert_eq!(words("ephapse sub 'a >' --json | jq .x"), ["ephapse", "sub", "a >", "--json"]);
        assert_eq!(words("ephapse up   a supervisor"), ["ephapse", "up"]);
        assert_eq!(
            words("ephapse pub a '{\"x\": 1}' < file"),
            ["ephapse", "pub", "a", "{\"x\": 1}"]
        );
    }

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn every_command_has_examples_that_can_be_run() {
        let definition = definition();
        for command in all(&definition) {
            let name = command.get_name();
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = help.split("\n\n").find_map(|part| part.strip_prefix("Examples:\n"));
            let examples = examples.unwrap_or_else(|| panic!("{name} has no examples:\n{help}"));
            let mut own = 0;
            for line in examples.lines().map(str::trim_start) {
                let words = words(line);
                if words.first().is_none_or(|word| word != "ephapse") {
                    continue;
                }
                own += 1;
                let parsed = self::definition().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{name}: {line}\n{}", parsed.unwrap_err());
            }
            assert!(own > 0, "{name} has no example of itself:\n{examples}");
            assert!(help.contains("\nExit codes:\n"), "{name}: {help}");
        }
    }

    #[test]
    fn whatever_prints_data_prints_json() {
        let definition = definition();
        for command in all(&definition) {
            let name = command.get_name();
            if !command.has_subcommands() && !SILENT.contains(&name) {
                let has_json = command.get_arguments().any(|argument| argument.get_id() == "json");
                assert!(has_json, "{name} has no --json");
            }
        }
    }

    #[test]
    fn prose_and_lists_are_kept() {
        let page = after_help("Some\nprose.\n\nExamples:\n  a - b\n  .c\n\nExit codes:\n  0  fine");
        let text = page.to_roff();
        assert!(text.contains(".SH NOTES\nSome prose.\n"), "{text}");
        assert!(text.contains(".SH EXAMPLES\n.nf\n"), "{text}");
        assert!(text.contains("  .c\n"), "{text}");
        assert!(text.contains(".SH \"EXIT STATUS\"\n.nf\n  0  fine\n.fi\n"), "{text}");
    }
}
