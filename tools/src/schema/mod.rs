//! `ephapse schema`: of what type events are, in words and as C.

mod given;
mod known;
mod list;
mod show;

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use self::known::Known;
pub(crate) use self::show::find;
use crate::ui::Ui;
use crate::up;

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Hubs describe the types that they publish, in memory that is read here without their help. A schema
is a number: the hash of an event's name, its version and the text of its layout.

Examples:
  ephapse schema list
  ephapse schema show robot.Pose
  ephapse schema show robot.Pose --c > robot_pose.h
  ephapse schema show --name robot.Pose --layout 'Pose{x:f64,y:f64}' --c
  ephapse schema hash --name robot.Pose --version 2 --layout 'Pose{x:f64,y:f64}'")]
pub(crate) struct SchemaArgs {
    /// What to do.
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the types that hubs publish.
    #[command(after_help = list::EXAMPLES)]
    List(list::ListArgs),
    /// Show a type as Rust would declare it, as a C header, or as JSON.
    #[command(after_help = show::EXAMPLES, disable_version_flag = true)]
    Show(show::ShowArgs),
    /// Compute the schema of a name, a version and a layout.
    #[command(after_help = given::EXAMPLES, disable_version_flag = true)]
    Hash(given::HashArgs),
}

/// Which domain's hubs.
#[derive(Debug, clap::Args)]
struct Place {
    /// The domain's directory [default: see `ephapse --help`].
    #[arg(long, value_name = "DIR", env = up::DIR_VARIABLE, hide_env_values = true)]
    #[arg(value_parser = up::directory())]
    dir: Option<PathBuf>,
}

/// Does it.
pub(crate) fn run(args: SchemaArgs, ui: &Ui) -> Result<()> {
    match args.what {
        What::List(args) => list::run(args, ui),
        What::Show(args) => show::run(args, ui),
        What::Hash(args) => given::hash(args, ui),
    }
}
