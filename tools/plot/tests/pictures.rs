//! Pictures are what they should be: XML with all labels inside, pixels of the right number.

use std::time::Duration;

use ephapse_plot::{Interval, Page, Picture, Series, Table, Times};

fn series(name: &str, usual: f64) -> Series {
    let intervals = (0..10).map(|index| {
        let mut times = Times::new();
        (0..1000).for_each(|step| times.record_ns(usual * (1.0 + f64::from(step) / 100.0)));
        let length = Duration::from_millis(200);
        Interval { start: length * index, length, times }
    });
    Series::of_intervals(name, intervals.collect())
}

fn picture() -> Picture {
    let all = [series("10k/s", 100.0), series("<odd> & \"name\"", 2e6)];
    Picture::of_latency("One way", "processors 0 and 1\nsecond line", &all)
}

/// All texts of a picture with their places; fails if it is not XML.
fn texts(svg: &str) -> Vec<(String, f64, f64)> {
    let document = roxmltree::Document::parse(svg).expect("XML");
    let nodes = document.descendants().filter(|node| node.has_tag_name("text"));
    let place =
        |node: &roxmltree::Node<'_, '_>, name| node.attribute(name).unwrap().parse().unwrap();
    nodes
        .map(|node| {
            (node.text().unwrap_or("").trim().to_owned(), place(&node, "x"), place(&node, "y"))
        })
        .collect()
}

#[test]
fn an_svg_is_xml_with_every_label_inside() {
    let svg = picture().svg().unwrap();
    let document = roxmltree::Document::parse(&svg).expect("XML");
    let root = document.root_element();
    let size: Vec<f64> = root
        .attribute("viewBox")
        .unwrap()
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect();
    let found = texts(&svg);
    for (text, x, y) in &found {
        assert!((0.0..size[2]).contains(x) && (0.0..size[3]).contains(y), "{text} at {x}, {y}");
    }
    for label in [
        "One way",
        "10k/s",
        "<odd> & \"name\"",
        "Latency by percentile",
        "percentile",
        "50",
        "90",
        "99",
        "99.9",
        "99.99",
        "100 ns",
        "10 ms",
        "1 s",
        "time since the start",
        "processors 0 and 1",
        "second line",
    ] {
        assert!(found.iter().any(|(text, ..)| text == label), "no {label:?} in {found:?}");
    }
    let title = root.children().find(|node| node.has_tag_name("title"));
    assert_eq!(title.and_then(|node| node.text()), Some("One way"));
}

#[test]
fn labels_of_one_axis_do_not_touch() {
    let found = texts(&picture().svg().unwrap());
    let shares: Vec<f64> =
        ["50", "90", "99", "99.9", "99.99"].map(|label| at(&found, label).0).into();
    assert!(shares.windows(2).all(|pair| pair[1] - pair[0] > 60.0), "{shares:?}");
    let (_, low) = at(&found, "100 ns");
    let (_, high) = at(&found, "1 µs");
    assert!(low - high > 30.0, "{low} and {high}");
}

fn at(found: &[(String, f64, f64)], label: &str) -> (f64, f64) {
    found.iter().find(|(text, ..)| text == label).map(|(_, x, y)| (*x, *y)).expect(label)
}

#[test]
fn a_png_has_twice_the_size_and_something_on_it() {
    let picture = picture();
    let (svg, png) = (picture.svg().unwrap(), picture.png().unwrap());
    let document = roxmltree::Document::parse(&svg).unwrap();
    let sizes = ["width", "height"]
        .map(|name| document.root_element().attribute(name).unwrap().parse::<u32>().unwrap());
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!([number(16), number(20)], sizes.map(|size| 2 * size));
    // Text is drawn: without it, there is less.
    let mut mute = picture;
    mute.title.clear();
    mute.note.clear();
    assert!(mute.png().unwrap().len() < png.len());
}

#[test]
fn nothing_measured_is_still_a_picture() {
    let picture = Picture::of_latency("Nothing", "", &[Series::new("none", Times::new())]);
    assert!(picture.svg().unwrap().contains("percentile") && picture.png().is_ok());
    let picture = Picture::of_latency("", "", &[]);
    assert!(picture.png().is_ok());
}

#[test]
fn a_page_holds_all_and_needs_nothing() {
    let page = Page {
        title: "a < b".to_owned(),
        pictures: vec![picture()],
        table: Table {
            head: vec!["rate".to_owned(), "p99".to_owned()],
            rows: vec![vec!["10k".to_owned(), "1 µs & more".to_owned()]],
        },
        facts: vec![("machine".to_owned(), "<unknown>".to_owned())],
    };
    let html = page.html().unwrap();
    for part in ["<h1>a &lt; b</h1>", "<svg", "1 µs &amp; more", "&lt;unknown&gt;"] {
        assert!(html.contains(part), "{part}");
    }
    for elsewhere in ["src=", "href=", "@import", "url("] {
        assert!(!html.contains(elsewhere), "{elsewhere}");
    }
}
