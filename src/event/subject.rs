//! Subjects, which say what an event is about, and patterns, which say what a reader wants.
//!
//! A subject is one to [`SUBJECT_TOKENS_MAX`] tokens with dots between them, at most
//! [`SUBJECT_MAX`] bytes in all: `robot.7.pose`. A token has at least one character, and may have
//! every printable ASCII character except space, `.`, `*` and `>`. Upper and lower case differ.
//!
//! A pattern is the same, but a token may also be a wildcard:
//!
//! | wildcard | stands for |
//! |---|---|
//! | `*` | exactly one token, whatever it is |
//! | `>` | all tokens that follow, at least one; only as the last token |
//!
//! A wildcard is a token of its own: `robot*` is neither a subject nor a pattern.
//!
//! ```
//! use ephapse::event::subject::Pattern;
//!
//! let poses: Pattern = "robot.*.pose".parse()?;
//! assert!(poses.matches("robot.7.pose"));
//! assert!(!poses.matches("robot.7.arm.pose"));
//!
//! let all = Pattern::new("robot.>")?;
//! assert!(all.includes(&poses) && !poses.includes(&all));
//! assert!(poses.intersects(&Pattern::new("*.7.>")?));
//! # Ok::<(), ephapse::event::subject::SubjectError>(())
//! ```

use crate::limits::{SUBJECT_MAX, SUBJECT_TOKENS_MAX};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Stands for exactly one token.
const ONE: &str = "*";

/// Stands for all tokens that follow, at least one.
const REST: &str = ">";

/// What no token contains that is not a wildcard itself.
const WILDCARDS: [char; 2] = ['*', '>'];

/// Why a text is not a subject, or not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubjectError {
    /// It has more than [`SUBJECT_MAX`] bytes.
    #[error("a subject or pattern has at most {SUBJECT_MAX} bytes, not {bytes}")]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// It has more than [`SUBJECT_TOKENS_MAX`] tokens.
    #[error("a subject or pattern has at most {SUBJECT_TOKENS_MAX} tokens, not {tokens}")]
    TooManyTokens {
        /// Its tokens.
        tokens: usize,
    },
    /// Two dots in a row, a dot at the beginning or the end, or no text at all.
    #[error("token {at} (counted from 0) is empty; it needs a character")]
    EmptyToken {
        /// Which token, counted from 0.
        at: usize,
    },
    /// A character that no token may have.
    #[error("tokens are printable ASCII without space, and at byte {at} stands {character:?}")]
    BadCharacter {
        /// The character.
        character: char,
        /// The byte at which it begins, counted from 0.
        at: usize,
    },
    /// A subject names one thing, and cannot have wildcards.
    #[error("only patterns have wildcards (`*`, `>`), and this subject has the token {token:?}")]
    WildcardInSubject {
        /// The token that is a wildcard, or has one in it.
        token: String,
    },
    /// A wildcard that is not a token of its own.
    #[error("a wildcard is a whole token, `*` or `>`, and in {token:?} it is a part of one")]
    WildcardInToken {
        /// The token.
        token: String,
    },
    /// A `>` with tokens after it.
    #[error("`>` stands for all that follows and must be last; `*` stands for one token")]
    RestNotLast,
}

/// Whether a text is a subject, by the rules in the [module's documentation](self).
///
/// # Errors
///
/// [`SubjectError`], which says what is wrong and where.
pub fn check_subject(subject: &str) -> Result<(), SubjectError> {
    check_text(subject)?;
    match subject.split('.').find(|token| token.contains(WILDCARDS)) {
        None => Ok(()),
        Some(token) => Err(SubjectError::WildcardInSubject { token: token.to_owned() }),
    }
}

/// What holds for subjects and patterns alike.
fn check_text(text: &str) -> Result<(), SubjectError> {
    if text.len() > SUBJECT_MAX {
        return Err(SubjectError::TooLong { bytes: text.len() });
    }
    let tokens = text.split('.').count();
    if tokens > SUBJECT_TOKENS_MAX {
        return Err(SubjectError::TooManyTokens { tokens });
    }
    if let Some((at, character)) = text.char_indices().find(|(_, c)| !c.is_ascii_graphic()) {
        return Err(SubjectError::BadCharacter { character, at });
    }
    if let Some(at) = text.split('.').position(str::is_empty) {
        return Err(SubjectError::EmptyToken { at });
    }
    Ok(())
}

/// What holds for the wildcards of a pattern.
fn check_wildcards(pattern: &str) -> Result<(), SubjectError> {
    let mut tokens = pattern.split('.').peekable();
    while let Some(token) = tokens.next() {
        if token == REST && tokens.peek().is_some() {
            return Err(SubjectError::RestNotLast);
        }
        if token != REST && token != ONE && token.contains(WILDCARDS) {
            return Err(SubjectError::WildcardInToken { token: token.to_owned() });
        }
    }
    Ok(())
}

/// A set of subjects: a subject in which tokens may be wildcards. Patterns are ordered as texts.
///
/// Patterns are compared as if subjects could have any number of tokens and bytes. Near the limits
/// that is stricter than need be: of the subjects that exist, sixteen `*` have all that fifteen `*`
/// and a `>` have, and [`includes`](Self::includes) denies it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// A pattern, by the rules in the [module's documentation](self). Every subject is one.
    ///
    /// # Errors
    ///
    /// [`SubjectError`], which says what is wrong and where.
    pub fn new(pattern: &str) -> Result<Self, SubjectError> {
        check_text(pattern)?;
        check_wildcards(pattern)?;
        Ok(Self(pattern.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has no wildcards, and so matches only itself.
    #[must_use]
    pub fn is_subject(&self) -> bool {
        !self.0.contains(WILDCARDS)
    }

    /// Whether the subject is one of those that the pattern describes.
    ///
    /// The subject is not checked again: for a text that [`check_subject`] refuses, the answer
    /// means nothing.
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        covers(&self.0, subject)
    }

    /// Whether every subject, of any length, that matches `other` matches this pattern too.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        covers(&self.0, &other.0)
    }

    /// Whether some subject, of any length, matches both.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        let mut others = other.0.split('.');
        for token in self.0.split('.') {
            let Some(other) = others.next() else { return false };
            if token == REST || other == REST {
                return true; // at least one token is left on either side, and can be filled in
            }
            if token != other && token != ONE && other != ONE {
                return false;
            }
        }
        others.next().is_none()
    }
}

/// Whether all subjects of `narrow` are subjects of `wide`. A subject is a pattern that has only
/// itself, so this is also how one is matched.
///
/// Token by token, because no wildcard can be made up for by another: whatever tokens a pattern
/// names, `*` also has one that it does not name, and `>` also has more tokens than any that end.
fn covers(wide: &str, narrow: &str) -> bool {
    let mut narrow = narrow.split('.');
    for token in wide.split('.') {
        let Some(other) = narrow.next() else { return false };
        match token {
            REST => return true,
            ONE if other != REST => {}
            _ if token == other => {}
            _ => return false,
        }
    }
    narrow.next().is_none()
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Pattern {
    type Err = SubjectError;

    fn from_str(pattern: &str) -> Result<Self, SubjectError> {
        Self::new(pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
    }

    /// Rows of a pattern, those to which it has the relation, and those to which it has not.
    #[track_caller]
    fn check(relation: impl Fn(&Pattern, &Pattern) -> bool, rows: &[[&str; 3]]) {
        for [left, yes, no] in rows {
            let yes = yes.split_whitespace().map(|right| (right, true));
            for (right, expect) in yes.chain(no.split_whitespace().map(|right| (right, false))) {
                assert_eq!(relation(&pattern(left), &pattern(right)), expect, "{left} {right}");
            }
        }
    }

    #[test]
    fn relations() {
        let matches = [
            ["a.bb", "a.bb", "A.bb a.b a.bbb a bb a.bb.bb a.bb.c"],
            ["*", "a $x-{y}/~", "a.b"],
            ["a.*.c", "a.b.c", "a.b.d a.b.b.c a.c ab.b.c"],
            [">", "a a.b.c", ""],
            ["a.>", "a.b a.b.c", "a ab.c b.b"],
        ];
        check(|left, right| left.matches(right.as_str()), &matches);
        let (ones, rest) = (["*"; 16].join("."), ["*"; 15].join(".") + ".>");
        let includes = [
            ["a.b", "a.b", "a.* *.b > a a.b.c"],
            ["*", "* a", "> *.* *.>"],
            [">", "> * a *.> a.b.*", ""],
            ["*.>", "*.> *.* a.> a.*.> a.b", "> * a"],
            ["a.>", "a.> a.*.> a.b", "*.> > a b.>"],
            ["a.*.c", "a.*.c a.b.c", "a.b.* a.> *.*.c"],
            [&ones, &ones, &rest], // the limits would allow to say yes
        ];
        check(Pattern::includes, &includes);
        let intersects = [
            ["a.b", "a.b *.b a.* > a.> *.>", "a.c a a.b.c * a.b.>"],
            ["a.*", "*.b a.b > *.>", "b.* * *.*.>"],
            ["a.>", "> a.*.> *.b.c *.*", "a * b.>"],
            ["*.b.>", "a.*.*.d > a.> a.b.>", "a.c.> a.b *.*"],
        ];
        check(Pattern::intersects, &intersects);
        check(|left, right| right.intersects(left), &intersects);
    }

    fn said<T: fmt::Debug>(refused: Result<T, SubjectError>) -> String {
        refused.unwrap_err().to_string()
    }

    #[test]
    fn texts_are_taken_or_refused() {
        let (long, deep) = ("x".repeat(SUBJECT_MAX), ["~"; SUBJECT_TOKENS_MAX].join("."));
        for (text, is_subject) in [("a", true), ("a.*", false), (&*long, true), (&*deep, true)] {
            let pattern = pattern(text);
            assert_eq!((pattern.as_str(), &*pattern.to_string()), (text, text));
            assert_eq!([pattern.is_subject(), check_subject(text).is_ok()], [is_subject; 2]);
        }
        let empty = |at| format!("token {at} (counted from 0) is empty; it needs a character");
        for (text, says) in [
            (&*(long + "x"), "a subject or pattern has at most 255 bytes, not 256"),
            (&*(deep + ".a"), "a subject or pattern has at most 16 tokens, not 17"),
            ("", &empty(0)),
            (".a*", &empty(0)),
            ("a.", &empty(1)),
            ("a.b..c", &empty(2)),
            ("a.b c..", "tokens are printable ASCII without space, and at byte 3 stands ' '"),
            ("\n", r"tokens are printable ASCII without space, and at byte 0 stands '\n'"),
            ("\x7f", r"tokens are printable ASCII without space, and at byte 0 stands '\u{7f}'"),
            ("aa.bb.cä", "tokens are printable ASCII without space, and at byte 7 stands 'ä'"),
        ] {
            assert_eq!([said(check_subject(text)), said(Pattern::new(text))], [says; 2]);
        }
        for (text, token) in [("*", "*"), ("a.>", ">"), ("a.b*.>", "b*"), (">.a", ">")] {
            let begin = "only patterns have wildcards (`*`, `>`), and this subject has the token";
            assert_eq!(said(check_subject(text)), format!("{begin} {token:?}"));
        }
        for (text, token) in [("foo*", "foo*"), ("a.*b.>", "*b"), ("**", "**"), ("a.>>", ">>")] {
            let begin = "a wildcard is a whole token, `*` or `>`, and in";
            assert_eq!(said(Pattern::new(text)), format!("{begin} {token:?} it is a part of one"));
        }
        for text in [">.a", "a.>.*", ">.>"] {
            let says = "`>` stands for all that follows and must be last; `*` stands for one token";
            assert_eq!(said(Pattern::new(text)), says);
        }
    }

    /// What a pattern means, word for word.
    fn naive(pattern: &[&str], subject: &[&str]) -> bool {
        match (pattern, subject) {
            ([], []) | ([REST], [_, ..]) => true,
            ([token, pattern @ ..], [other, subject @ ..]) => {
                (*token == ONE || token == other) && naive(pattern, subject)
            }
            _ => false,
        }
    }

    fn split(text: &str) -> Vec<&str> {
        text.split('.').collect()
    }

    /// All texts of one to `max` of these tokens.
    fn texts(tokens: &[&str], max: usize) -> Vec<String> {
        let shorter = if max > 1 { texts(tokens, max - 1) } else { Vec::new() };
        let longer = |text| tokens.iter().map(move |token| format!("{text}.{token}"));
        tokens.iter().map(ToString::to_string).chain(shorter.iter().flat_map(longer)).collect()
    }

    /// Nothing is left to chance: patterns of up to three tokens see no difference between a
    /// subject of four tokens and a longer one, nor between `c` and any token they do not name.
    #[test]
    fn small_patterns_agree_with_sets_of_subjects() {
        let subjects = texts(&["a", "b", "c"], 4);
        let patterns = texts(&["a", "b", ONE, REST], 3);
        let patterns = patterns.iter().filter_map(|text| Pattern::new(text).ok());
        let set = |pattern: &Pattern| -> HashSet<&str> {
            let subjects = subjects.iter().map(String::as_str);
            subjects.filter(|subject| naive(&split(pattern.as_str()), &split(subject))).collect()
        };
        let patterns: Vec<_> = patterns.map(|pattern| (set(&pattern), pattern)).collect();
        assert_eq!((subjects.len(), patterns.len()), (3 + 9 + 27 + 81, 39 + 13));
        for (these, left) in &patterns {
            for subject in &subjects {
                assert_eq!(left.matches(subject), these.contains(&**subject), "{left} {subject}");
            }
            for (those, right) in &patterns {
                assert_eq!(left.includes(right), these.is_superset(those), "{left} {right}");
                assert_eq!(left.intersects(right), !these.is_disjoint(those), "{left} {right}");
            }
        }
    }

    proptest! {
        /// To include a pattern is to match it with new names in its wildcards, one or two in `>`.
        #[test]
        fn larger_patterns_mean_what_they_say(
            subject in "([ab]\\.){4,6}[ab]",
            [left, right] in prop::array::uniform2("([a*]\\.){4,6}[a*>]"),
        ) {
            let matching = [&left, &right].map(|text| naive(&split(text), &split(&subject)));
            let named = ["c", "c.c"].map(|rest| right.replace(ONE, "c").replace(REST, rest));
            let includes = named.iter().all(|subject| naive(&split(&left), &split(subject)));
            let [left, right] = [left, right].map(|text| pattern(&text));
            prop_assert_eq!([&left, &right].map(|pattern| pattern.matches(&subject)), matching);
            prop_assert_eq!(left.includes(&right), includes);
            prop_assert!(left.intersects(&right) || (matching != [true; 2] && !includes));
        }

        #[test]
        fn any_text_is_judged(text in prop_oneof!["[ab.*> ]{0,9}", "([a*>]\\.){0,20}a", "(?s).*"]) {
            let tokens = split(&text);
            let fits = text.len() <= SUBJECT_MAX && tokens.len() <= SUBJECT_TOKENS_MAX;
            let allowed = |c| ('!'..='~').contains(&c) && c != '*' && c != '>';
            let plain = |token: &&str| !token.is_empty() && token.chars().all(allowed);
            let may = |(at, token): (usize, &&str)| {
                plain(token) || *token == "*" || (*token == ">" && at + 1 == tokens.len())
            };
            prop_assert_eq!(check_subject(&text).is_ok(), fits && tokens.iter().all(plain));
            prop_assert_eq!(Pattern::new(&text).is_ok(), fits && (0..).zip(&tokens).all(may));
        }
    }
}
