//! Where hubs stand and arrows run: hubs on an ellipse, arrows through its inside, and labels where
//! they cover nothing.

use super::scene::Scene;

/// A point, or a distance, in the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

impl Point {
    pub(super) fn new(x: f64, y: f64) -> Point {
        Point { x, y }
    }

    fn towards(self, other: Point, part: f64) -> Point {
        Point::new(self.x + (other.x - self.x) * part, self.y + (other.y - self.y) * part)
    }
}

/// A rectangle by its middle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) middle: Point,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Area {
    fn covers(&self, other: &Area, gap: f64) -> bool {
        (self.middle.x - other.middle.x).abs() < (self.width + other.width) / 2.0 + gap
            && (self.middle.y - other.middle.y).abs() < (self.height + other.height) / 2.0 + gap
    }

    /// Where a line from the middle to `target` leaves it.
    fn border_to(&self, target: Point) -> Point {
        let (dx, dy) = (target.x - self.middle.x, target.y - self.middle.y);
        let part = (self.width / 2.0 / dx.abs()).min(self.height / 2.0 / dy.abs());
        if part.is_finite() { self.middle.towards(target, part) } else { self.middle }
    }
}

/// A curve with one control point, and its label.
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) start: Point,
    pub(super) control: Point,
    pub(super) end: Point,
    /// Nothing where there is no room for one.
    pub(super) label: Option<Area>,
}

impl Curve {
    fn at(&self, part: f64) -> Point {
        let one = self.start.towards(self.control, part);
        one.towards(self.control.towards(self.end, part), part)
    }
}

/// The whole picture; its upper left corner is the origin.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) nodes: Vec<Area>,
    /// One for each edge; one that leads back to its hub is drawn above it.
    pub(super) curves: Vec<Curve>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Room for a title above, and a legend below.
pub(super) const MARGIN: f64 = 70.0;

/// Letters of a name that are shown.
pub(super) const NAME_SHOWN: usize = 28;

const NODE_HEIGHT: f64 = 48.0;
const NODE_WIDTH_MIN: f64 = 150.0;
const LETTER: f64 = 8.2;
const SMALL_LETTER: f64 = 5.9;
const LABEL_HEIGHT: f64 = 17.0;

/// The least half axes: room for labels inside.
const AXES_MIN: (f64, f64) = (300.0, 210.0);

/// Height of the ellipse to its width.
const FLATNESS: f64 = 0.58;

/// How far arrows between the same two hubs keep apart.
const APART: f64 = 34.0;

/// Up to so many hubs, their order is improved.
const ORDERED_MAX: usize = 64;

impl Layout {
    pub(super) fn of(scene: &Scene) -> Layout {
        let nodes = place(scene);
        let middle = middle_of(&nodes);
        let mut curves: Vec<Curve> = Vec::new();
        for (at, edge) in scene.edges.iter().enumerate() {
            let between =
                |other: &&super::scene::Edge| (other.from, other.to) == (edge.from, edge.to);
            let before = scene.edges[..at].iter().filter(between).count();
            curves.push(curve(&nodes[edge.from], &nodes[edge.to], before, middle));
        }
        let right = nodes.iter().map(|area| area.middle.x + area.width / 2.0).fold(0.0, f64::max);
        let bottom = nodes.iter().map(|area| area.middle.y + area.height / 2.0).fold(0.0, f64::max);
        let (width, height) = ((right + MARGIN).max(560.0), bottom + MARGIN + beyond(nodes.len()));
        let mut layout = Layout { nodes, curves, width, height };
        layout.place_labels(scene);
        layout
    }

    /// The busiest first; one that covers something in all places is left out.
    fn place_labels(&mut self, scene: &Scene) {
        let mut taken = self.nodes.clone();
        let mut order: Vec<usize> = (0..scene.edges.len()).collect();
        order.sort_by(|a, b| scene.edges[*b].weight.total_cmp(&scene.edges[*a].weight));
        for at in order {
            let edge = &scene.edges[at];
            if edge.label.is_empty() || edge.from == edge.to {
                continue;
            }
            let width = edge.label.chars().count() as f64 * SMALL_LETTER + 12.0;
            let parts = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.2, 0.8];
            let areas = parts.map(|part| Area {
                middle: self.curves[at].at(part),
                width,
                height: LABEL_HEIGHT,
            });
            let free = |area: &&Area| !taken.iter().any(|other| area.covers(other, 4.0));
            let found = areas.iter().find(free).copied();
            taken.extend(found);
            self.curves[at].label = found;
        }
    }
}

/// Hubs on an ellipse that is wide enough for all.
fn place(scene: &Scene) -> Vec<Area> {
    let widths: Vec<f64> = (scene.nodes.iter())
        .map(|node| {
            let name = node.name.chars().count().min(NAME_SHOWN) as f64 * LETTER;
            let below = node.below.chars().count() as f64 * SMALL_LETTER;
            (name.max(below) + 28.0).max(NODE_WIDTH_MIN)
        })
        .collect();
    let widest = widths.iter().fold(NODE_WIDTH_MIN, |most, width| most.max(*width));
    let count = widths.len() as f64;
    let around = count / std::f64::consts::TAU;
    let axes = if widths.len() == 1 { (0.0, 0.0) } else { AXES_MIN };
    let wide = axes.0.max(widest * 1.3 * around);
    let axes = (wide, axes.1.max(NODE_HEIGHT * 1.9 * around).max(wide * FLATNESS));
    // Two stand side by side; more begin at the top.
    let first = if widths.len() == 2 { std::f64::consts::PI } else { -std::f64::consts::FRAC_PI_2 };
    let middle = Point::new(MARGIN + widest / 2.0 + axes.0, MARGIN + NODE_HEIGHT + axes.1);
    let places = order(scene);
    let mut areas: Vec<Area> = (widths.iter().zip(places))
        .map(|(width, place)| {
            let angle = first + std::f64::consts::TAU * place as f64 / count;
            let middle =
                Point::new(middle.x + axes.0 * angle.cos(), middle.y + axes.1 * angle.sin());
            Area { middle, width: *width, height: NODE_HEIGHT }
        })
        .collect();
    // The ellipse may not be filled up to the left and the top.
    let left = areas.iter().map(|area| area.middle.x - area.width / 2.0).fold(f64::MAX, f64::min);
    let top = areas.iter().map(|area| area.middle.y - area.height / 2.0).fold(f64::MAX, f64::min);
    let above = MARGIN + beyond(widths.len());
    for area in &mut areas {
        area.middle = Point::new(area.middle.x - left + MARGIN, area.middle.y - top + above);
    }
    areas
}

/// The place on the ellipse of each hub: neighbours are those who talk to each other. Hubs change
/// places for as long as that makes all arrows together shorter.
fn order(scene: &Scene) -> Vec<usize> {
    let count = scene.nodes.len();
    let mut places: Vec<usize> = (0..count).collect();
    if count > ORDERED_MAX {
        return places;
    }
    let length = |places: &[usize]| {
        let lengths = scene.edges.iter().map(|edge| {
            let apart = places[edge.from].abs_diff(places[edge.to]);
            apart.min(count - apart)
        });
        lengths.sum::<usize>()
    };
    let mut best = length(&places);
    let mut better = true;
    while better {
        better = false;
        for one in 0..count {
            for other in one + 1..count {
                places.swap(one, other);
                let now = length(&places);
                if now < best {
                    (best, better) = (now, true);
                } else {
                    places.swap(one, other);
                }
            }
        }
    }
    places
}

/// Arrows between two hubs bend outwards, there being no inside.
fn beyond(hubs: usize) -> f64 {
    if hubs <= 2 { 3.0 * APART } else { 0.0 }
}

fn middle_of(nodes: &[Area]) -> Point {
    let count = nodes.len().max(1) as f64;
    let sum = |get: fn(&Area) -> f64| nodes.iter().map(get).sum::<f64>() / count;
    Point::new(sum(|area| area.middle.x), sum(|area| area.middle.y))
}

/// From border to border, bent to the middle of the picture, and to the right of its own direction,
/// so that there and back are two curves.
fn curve(from: &Area, to: &Area, before: usize, middle: Point) -> Curve {
    let (a, b) = (from.middle, to.middle);
    if a == b {
        let top = a.y - from.height / 2.0;
        let (start, end) = (Point::new(a.x - 20.0, top), Point::new(a.x + 20.0, top));
        return Curve { start, control: Point::new(a.x, top - 60.0), end, label: None };
    }
    let half = a.towards(b, 0.5).towards(middle, 0.35);
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let length = dx.hypot(dy);
    let aside = APART * (1.0 + 1.4 * before as f64);
    let control = Point::new(half.x - dy / length * aside, half.y + dx / length * aside);
    Curve { start: from.border_to(control), control, end: to.border_to(control), label: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::graph::scene::{Edge, Node};
    use crate::watch::model::Way;

    /// So many hubs; each sends to the next ones in all ways.
    fn scene(hubs: usize, reach: usize) -> Scene {
        let node = |at| Node {
            name: format!("hub-{at}{}", "-with-a-long-name".repeat(at % 3)),
            below: "↑ 1.00 k/s   ↓ 12.5 M/s".to_owned(),
            alarming: at % 4 == 3,
            details: String::new(),
        };
        let ways = [Way::Link, Way::Lane, Way::Broadcast];
        let edge = |from: usize, step: usize| Edge {
            from,
            to: (from + step) % hubs,
            way: ways[(from + step) % 3],
            weight: (from * 1000 * step) as f64,
            label: if from == 0 {
                String::new()
            } else {
                "1.00 M/s · 64.0 MiB/s · 480 ns".to_owned()
            },
        };
        let edges = (0..hubs).flat_map(|from| (1..=reach).map(move |step| edge(from, step)));
        Scene { nodes: (0..hubs).map(node).collect(), edges: edges.collect() }
    }

    #[test]
    fn nothing_overlaps() {
        for hubs in (1..40).chain([64, 128]) {
            for reach in [1, 2, 5] {
                let layout = Layout::of(&scene(hubs, reach));
                let labels = layout.curves.iter().filter_map(|curve| curve.label);
                let areas: Vec<Area> = layout.nodes.iter().copied().chain(labels).collect();
                for (at, area) in areas.iter().enumerate() {
                    let (x, y) = (area.middle.x, area.middle.y);
                    let inside =
                        x - area.width / 2.0 >= 0.0 && x + area.width / 2.0 <= layout.width;
                    let inside = inside
                        && y - area.height / 2.0 >= 52.0
                        && y + area.height / 2.0 <= layout.height - 40.0;
                    assert!(
                        inside,
                        "{hubs} hubs: {area:?} in {} x {}",
                        layout.width, layout.height
                    );
                    for other in &areas[..at] {
                        assert!(!area.covers(other, 0.0), "{hubs} hubs: {area:?} and {other:?}");
                    }
                }
            }
        }
        assert!(Layout::of(&Scene::default()).nodes.is_empty());
    }

    #[test]
    fn neighbours_are_those_who_talk() {
        let mut scene = scene(4, 0);
        for (from, to) in [(0, 2), (2, 1), (1, 3)] {
            scene.edges.push(Edge { from, to, way: Way::Link, weight: 1.0, label: String::new() });
        }
        let places = order(&scene);
        for edge in &scene.edges {
            let apart = places[edge.from].abs_diff(places[edge.to]);
            assert_eq!(apart.min(4 - apart), 1, "{places:?}");
        }
    }
}
