//! The scene as a picture.

use std::fmt::Write;

use super::dot::width;
use super::layout::{Area, Curve, Layout, MARGIN, NAME_SHOWN};
use super::scene::{Edge, Node, Scene};
use crate::watch::model::Way;

/// Each way's colour, and what the legend says.
const WAYS: [(Way, &str, &str); 3] = [
    (Way::Link, "#1f5fbf", "sent directly"),
    (Way::Lane, "#1f8f5f", "published, over a link"),
    (Way::Broadcast, "#b8860b", "published, by broadcast"),
];

/// Of arrows on which nothing moves.
const IDLE: &str = "#b9bfc7";

const STYLE: &str = "\
text{font-family:ui-sans-serif,system-ui,'DejaVu Sans',sans-serif;fill:#1d2733}\
.name{font-size:13px;font-weight:600}.small{font-size:10.5px}.quiet{fill:#66707c}\
.node{fill:#ffffff;stroke:#8793a1;stroke-width:1.2}.alarm{stroke:#c0392b;stroke-width:2}\
.label{fill:#ffffff;fill-opacity:.94;stroke:#dfe3e8}path{fill:none}";

/// A whole document.
pub(super) fn write(scene: &Scene, domain: &str) -> String {
    let layout = Layout::of(scene);
    let (width, height) = (layout.width, layout.height);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\">\n<style>{STYLE}</style>\n<defs>\n"
    );
    for (name, color) in
        WAYS.map(|(way, color, _)| (way.name(), color)).into_iter().chain([("idle", IDLE)])
    {
        put(
            &mut out,
            format_args!(
                "<marker id=\"{name}\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"11\" \
             markerHeight=\"11\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">\
             <path d=\"M0,1L10,5L0,9z\" style=\"fill:{color}\"/></marker>"
            ),
        );
    }
    put(&mut out, format_args!("</defs>\n<rect width=\"100%\" height=\"100%\" fill=\"#f7f8fa\"/>"));
    put(
        &mut out,
        format_args!(
            "<text x=\"24\" y=\"34\" class=\"name\">{}</text>\n\
         <text x=\"24\" y=\"51\" class=\"small quiet\">{} hubs, {} ways between them</text>",
            escape(domain),
            scene.nodes.len(),
            scene.edges.len()
        ),
    );
    if scene.nodes.is_empty() {
        put(
            &mut out,
            format_args!("<text x=\"24\" y=\"80\" class=\"small\">no hub is there</text>"),
        );
    }
    for (edge, curve) in scene.edges.iter().zip(&layout.curves) {
        arrow(&mut out, edge, curve, scene);
    }
    for (node, area) in scene.nodes.iter().zip(&layout.nodes) {
        hub(&mut out, node, area);
    }
    for (edge, curve) in scene.edges.iter().zip(&layout.curves) {
        if let Some(area) = &curve.label {
            label(&mut out, edge, area);
        }
    }
    legend(&mut out, height);
    out.push_str("</svg>\n");
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = writeln!(out, "{text}");
}

fn color_of(way: Way) -> &'static str {
    WAYS.iter().find(|(known, ..)| *known == way).map_or(IDLE, |(_, color, _)| color)
}

fn arrow(out: &mut String, edge: &Edge, curve: &Curve, scene: &Scene) {
    let idle = edge.weight <= 0.0;
    let (color, marker) = if idle { (IDLE, "idle") } else { (color_of(edge.way), edge.way.name()) };
    let dashes = if edge.way == Way::Broadcast { " stroke-dasharray=\"6 4\"" } else { "" };
    let Curve { start, control, end, .. } = curve;
    let [from, to] = [edge.from, edge.to].map(|at| escape(&scene.nodes[at].name));
    let says = if idle { "nothing moves".to_owned() } else { escape(&edge.label) };
    put(
        out,
        format_args!(
            "<path d=\"M{:.1},{:.1}Q{:.1},{:.1} {:.1},{:.1}\" stroke=\"{color}\" stroke-width=\"{:.1}\"{dashes} \
         marker-end=\"url(#{marker})\"><title>{from} → {to}, {}: {says}</title></path>",
            start.x,
            start.y,
            control.x,
            control.y,
            end.x,
            end.y,
            width(edge.weight),
            edge.way.name()
        ),
    );
}

fn hub(out: &mut String, node: &Node, area: &Area) {
    let (x, y) = (area.middle.x - area.width / 2.0, area.middle.y - area.height / 2.0);
    let class = if node.alarming { "node alarm" } else { "node" };
    let shown: String = if node.name.chars().count() > NAME_SHOWN {
        node.name.chars().take(NAME_SHOWN - 1).chain(['…']).collect()
    } else {
        node.name.clone()
    };
    put(
        out,
        format_args!(
            "<g><title>{}</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"10\" class=\"{class}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" class=\"name\" text-anchor=\"middle\">{}</text>\
         <text x=\"{:.1}\" y=\"{:.1}\" class=\"small quiet\" text-anchor=\"middle\" xml:space=\"preserve\">{}</text></g>",
            escape(&node.details),
            area.width,
            area.height,
            area.middle.x,
            area.middle.y - 3.0,
            escape(&shown),
            area.middle.x,
            area.middle.y + 14.0,
            escape(&node.below)
        ),
    );
}

fn label(out: &mut String, edge: &Edge, area: &Area) {
    let (x, y) = (area.middle.x - area.width / 2.0, area.middle.y - area.height / 2.0);
    put(
        out,
        format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"5\" class=\"label\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" class=\"small\" text-anchor=\"middle\" style=\"fill:{}\">{}</text>",
            area.width,
            area.height,
            area.middle.x,
            area.middle.y + 3.8,
            color_of(edge.way),
            escape(&edge.label)
        ),
    );
}

fn legend(out: &mut String, height: f64) {
    let y = height - MARGIN / 2.0 + 8.0;
    let mut x = 24.0;
    for (way, color, text) in WAYS {
        let dashes = if way == Way::Broadcast { " stroke-dasharray=\"6 4\"" } else { "" };
        put(
            out,
            format_args!(
                "<path d=\"M{x},{y}h28\" stroke=\"{color}\" stroke-width=\"2\"{dashes}/>\
             <text x=\"{}\" y=\"{}\" class=\"small quiet\">{text}</text>",
                x + 36.0,
                y + 3.5
            ),
        );
        x += 60.0 + text.chars().count() as f64 * 6.2;
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter if letter.is_control() && letter != '\n' => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}
