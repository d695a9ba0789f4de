//! What the label of a counter is about.
//!
//! Labels contain names (of hubs and subjects), and names contain dots; so they are taken apart
//! from both ends.

/// The label of one counter of a hub, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label<'a> {
    /// Of the hub as a whole.
    Hub(&'a str),
    /// What the hub has published on one subject.
    Subject { subject: &'a str, what: &'a str },
    /// What went directly over the link with one peer.
    Link { peer: &'a str, what: &'a str },
    /// What was published over the link with one peer.
    Lane { peer: &'a str, what: &'a str },
    /// What one subscription has received.
    Subscription { number: &'a str, what: &'a str },
    /// How far one subscription has read the ring of one peer.
    Reading { peer: &'a str, ring: Ring },
}

/// A ring of published events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ring {
    /// The hub's broadcast, for all.
    Broadcast,
    /// The one beside a link.
    Lane,
}

impl Label<'_> {
    /// Takes a label apart. One of a kind that is not known is about the hub as a whole.
    pub(crate) fn parse(label: &str) -> Label<'_> {
        let parsed = match label.split_once('.') {
            Some(("subject", rest)) => named(rest, &["sent.bytes", "sent"])
                .map(|(subject, what)| Label::Subject { subject, what }),
            Some(("link", rest)) => named(rest, &["sent.bytes", "sent", "received"])
                .map(|(peer, what)| Label::Link { peer, what }),
            Some(("lane", rest)) => named(rest, &["position", "suspended"])
                .map(|(peer, what)| Label::Lane { peer, what }),
            Some(("sub", rest)) => subscription(rest),
            _ => None,
        };
        parsed.unwrap_or(Label::Hub(label))
    }
}

fn subscription(rest: &str) -> Option<Label<'_>> {
    let (number, what) = rest.split_once('.')?;
    let reading = named(what, &["broadcast", "lane"]);
    Some(match reading {
        Some((peer, "broadcast")) => Label::Reading { peer, ring: Ring::Broadcast },
        Some((peer, _)) => Label::Reading { peer, ring: Ring::Lane },
        None => Label::Subscription { number, what },
    })
}

/// Divides `NAME.WHAT`, where `what` is one of these; the longest first.
fn named<'a>(rest: &'a str, whats: &[&'static str]) -> Option<(&'a str, &'static str)> {
    whats.iter().find_map(|what| {
        let name = rest.strip_suffix(what)?.strip_suffix('.')?;
        (!name.is_empty()).then_some((name, *what))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_dots_are_kept_whole() {
        let check = |label, expected| assert_eq!(Label::parse(label), expected, "{label}");
        check("sent", Label::Hub("sent"));
        check("sent.bytes", Label::Hub("sent.bytes"));
        check("subject.a.sent", Label::Subject { subject: "a", what: "sent" });
        check("subject.a.b.sent.bytes", Label::Subject { subject: "a.b", what: "sent.bytes" });
        check("subject.sent.sent", Label::Subject { subject: "sent", what: "sent" });
        check("link.a.b.sent", Label::Link { peer: "a.b", what: "sent" });
        check("link.sent.received", Label::Link { peer: "sent", what: "received" });
        check("lane.a.position", Label::Lane { peer: "a", what: "position" });
        check(
            "sub.17.received.bytes",
            Label::Subscription { number: "17", what: "received.bytes" },
        );
        check("sub.1.a.b.broadcast", Label::Reading { peer: "a.b", ring: Ring::Broadcast });
        check("sub.1.received.lane", Label::Reading { peer: "received", ring: Ring::Lane });
    }

    #[test]
    fn what_is_not_known_is_about_the_hub() {
        for label in
            ["", "links", "links.sent", "subject..sent", "link.sent", "sub.", "sub.1", "lane.x.y"]
        {
            assert_eq!(Label::parse(label), Label::Hub(label));
        }
    }
}
