//! The scene for Graphviz.

use std::fmt::Write;

use super::scene::Scene;
use crate::watch::model::Way;

/// A whole document.
pub(super) fn write(scene: &Scene) -> String {
    let mut out = String::from("digraph ephapse {\n  rankdir=LR;\n");
    out.push_str("  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n");
    out.push_str("  edge [fontname=\"sans-serif\", fontsize=10];\n");
    for node in &scene.nodes {
        let (name, below) = (quoted(&node.name), quoted(&node.below));
        let color = if node.alarming { ", color=\"#c0392b\"" } else { "" };
        // Writing into a string cannot fail.
        let _ = writeln!(out, "  \"{name}\" [label=\"{name}\\n{below}\"{color}];");
    }
    for edge in &scene.edges {
        let [from, to] = [edge.from, edge.to].map(|at| quoted(&scene.nodes[at].name));
        let (label, width) = (quoted(&edge.label), width(edge.weight));
        let style = match edge.way {
            Way::Link => "color=\"#1f5fbf\"",
            Way::Lane => "color=\"#1f8f5f\"",
            Way::Broadcast => "color=\"#b8860b\", style=dashed",
        };
        let _ = writeln!(
            out,
            "  \"{from}\" -> \"{to}\" [label=\"{label}\", {style}, penwidth={width:.1}];"
        );
    }
    out.push_str("}\n");
    out
}

/// From 1 for nothing to 5 for a gigabyte a second.
pub(super) fn width(weight: f64) -> f64 {
    (1.0 + weight.max(1.0).log10() * 0.45).min(5.0)
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
