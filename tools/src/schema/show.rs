//! `ephapse schema show`: one type.

use anyhow::{Context, Result, bail};
use ephapse::Domain;
use ephapse::counters::{self, SchemaText};
use ephapse::event::schema::schema_id;
use ephapse_schema::EventType;

use super::Place;
use crate::ui::{Stream, Ui};
use crate::up;

/// How it is used.
pub(super) const EXAMPLES: &str = "\
A type is named by its name or by its schema, and found among those that hubs publish. With --layout
no hub is needed, so that a build can make its headers.

Examples:
  ephapse schema show robot.Pose
  ephapse schema show robot.Pose --version 2 --c > robot_pose.h
  ephapse schema show 4b651f9a93c836da --json
  ephapse schema show --name robot.Pose --version 2 --layout 'Pose{x:f64,y:f64}' --c";

/// Arguments of `schema show`.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The type's name, or its schema (16 hexadecimal digits).
    #[arg(value_name = "TYPE", required_unless_present = "layout")]
    wanted: Option<String>,

    /// The text of a layout, instead of a type that a hub publishes.
    #[arg(long, value_name = "TEXT", conflicts_with = "wanted", requires = "name")]
    layout: Option<String>,

    /// The name of the event that has this layout.
    #[arg(long, value_name = "NAME", requires = "layout")]
    name: Option<String>,

    /// The event's version [default: 1 with --layout, else any].
    #[arg(long, value_name = "N")]
    version: Option<u32>,

    /// Print a header for C.
    #[arg(long, conflicts_with = "json")]
    c: bool,

    /// Print one JSON object.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

/// Prints the type.
pub(super) fn run(args: ShowArgs, ui: &Ui) -> Result<()> {
    let text = match (args.layout, args.name) {
        (Some(layout), Some(name)) => {
            let version = args.version.unwrap_or(1);
            let id = schema_id(&name, version, &layout);
            SchemaText { id, name, version, layout, hubs: Vec::new() }
        }
        _ => find(&args.wanted.unwrap_or_default(), args.version, &up::domain(args.place.dir))?,
    };
    let SchemaText { name, version, layout, .. } = &text;
    let ty = EventType::parse(name, *version, layout)
        .with_context(|| format!("the layout of {name} version {version} is {layout}"))?;
    if args.c {
        return ui.line(Stream::Out, ty.c_header()?.trim_end());
    }
    if args.json {
        let mut object = ty.to_json();
        object["hubs"] = text.hubs.into();
        return ui.json(&object);
    }
    ui.line(Stream::Out, ty.rust())
}

/// The only one of those that hubs publish.
pub(crate) fn find(wanted: &str, version: Option<u32>, domain: &Domain) -> Result<SchemaText> {
    let digits = wanted.strip_prefix("0x").unwrap_or(wanted);
    let id = u64::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 16);
    let mut all = counters::schemas(Some(domain));
    let known = all.len();
    all.retain(|text| {
        let named = text.name == wanted || Some(text.id) == id;
        named && version.is_none_or(|version| text.version == version)
    });
    let place = domain.path().display();
    match (all.pop(), all.len()) {
        (Some(only), 0) => Ok(only),
        (Some(last), _) => {
            let others = all.iter().chain([&last]);
            let list: Vec<_> =
                others.map(|text| format!("version {} ({:016x})", text.version, text.id)).collect();
            bail!(
                "there are several {wanted} in {place}: {}; name one by its schema",
                list.join(", ")
            )
        }
        (None, _) => {
            let version = version.map(|version| format!(" version {version}")).unwrap_or_default();
            bail!(
                "no hub in {place} publishes a type {wanted}{version}; {known} others are listed by \
                 `ephapse schema list`"
            )
        }
    }
}
