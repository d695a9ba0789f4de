//! The number of a run, which no other run of the domain has.

use super::*;
use std::fs;

const FIRST_PLAUSIBLE: u32 = 1;
const EPOCHS: u32 = 1 << 20;

fn epoch(scene: &Scene) -> u32 {
    let text = fs::read_to_string(scene.domain.path().join("supervisor.epoch")).unwrap();
    text.trim().parse().unwrap()
}

fn set(scene: &mut Scene, text: &str) {
    scene.stop();
    fs::write(scene.domain.path().join("supervisor.epoch"), text).unwrap();
    scene.start();
}

#[test]
fn each_run_has_the_next_one() {
    let mut scene = Scene::new();
    let first = epoch(&scene);
    assert!((FIRST_PLAUSIBLE..EPOCHS).contains(&first), "{first}");
    scene.restart();
    assert_eq!(epoch(&scene), first + 1);
    set(&mut scene, "41\n");
    assert_eq!(epoch(&scene), 42);
    let id = scene.join("a").id;
    assert_eq!(id >> 32, 42);
    // After the last one it begins anew.
    set(&mut scene, &format!("{}", EPOCHS - 1));
    assert_eq!(epoch(&scene), 1);
    assert_eq!(scene.join("a").id >> 32, 1);
}

#[test]
fn a_file_that_says_something_else_is_passed_over() {
    let mut scene = Scene::new();
    for text in ["", "garbage", "-1", "1048576", "99999999999999999999999999", "7 7", "\0"] {
        set(&mut scene, text);
        let found = epoch(&scene);
        assert!((FIRST_PLAUSIBLE..EPOCHS).contains(&found), "{text:?}: {found}");
        scene.join("a").hears_nothing();
    }
}

#[test]
fn one_that_cannot_be_kept_is_an_error() {
    let mut scene = Scene::new();
    scene.stop();
    let path = scene.domain.path().join("supervisor.epoch");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = Supervisor::bind(scene.domain.clone()).unwrap_err().to_string();
    assert!(error.contains(&*path.to_string_lossy()), "{error}");
    let left: Vec<_> = fs::read_dir(scene.domain.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    fs::remove_dir(&path).unwrap();
    scene.start();
    scene.join("a").hears_nothing();
}

#[test]
fn nothing_has_the_number_of_something_of_an_earlier_run() {
    let mut scene = Scene::new();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (mut a, mut b) = (scene.publisher("a"), scene.join("b"));
        seen.extend([a.id, b.id]);
        seen.extend([u64::from(a.declared("x")), u64::from(a.declared("y"))]);
        seen.push(link(&mut a, &mut b, "b") | 1 << 63);
        drop((a, b));
        scene.restart();
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count, "{seen:?}");
}
