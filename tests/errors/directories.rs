//! Directories that a domain cannot live in: the same is said to supervisors and to hubs.

use crate::text;
use ephapse::{Domain, Error, Hub, Supervisor};
use nix::unistd::{Uid, chown, geteuid};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What both say about a directory.
#[track_caller]
fn refused(path: &Path) -> (Error, String) {
    let domain = Domain::at(path);
    let error = Supervisor::bind(domain.clone()).expect_err("a supervisor must refuse it");
    let said = text(Hub::builder("a").domain(domain).connect());
    assert_eq!(error.to_string(), said, "hubs and supervisors agree");
    (error, said)
}

/// A temporary directory of that mode, whatever the environment's mask is.
pub(crate) fn directory(mode: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
    dir
}

#[test]
fn one_that_belongs_to_somebody_else() {
    // Who is not root cannot give a directory away, but finds one that is not its own.
    let dir = directory(0o700);
    let (path, owner, us) = if geteuid().is_root() {
        chown(dir.path(), Some(Uid::from_raw(12_345)), None).unwrap();
        (dir.path(), 12_345, 0)
    } else {
        (Path::new("/usr"), 0, geteuid().as_raw())
    };
    let (error, said) = refused(path);
    assert!(matches!(error, Error::ForeignDirectory { .. }), "{error:?}");
    assert_eq!(
        said,
        format!(
            "the directory {} belongs to user {owner}, not to user {us} who wants to use it; \
             choose another one with EPHAPSE_DIR",
            path.display()
        )
    );
}

#[test]
fn one_that_others_may_enter() {
    for mode in [0o755, 0o750, 0o701] {
        let dir = directory(mode);
        let (error, said) = refused(dir.path());
        assert!(matches!(error, Error::OpenDirectory { .. }), "{error:?}");
        assert_eq!(
            said,
            format!(
                "the directory {} has mode {mode:04o}, and must have 0700 so that nobody else \
                 can reach the socket; chmod it, or choose another one with EPHAPSE_DIR",
                dir.path().display()
            )
        );
    }
}

#[test]
fn one_whose_path_is_too_long() {
    let dir = directory(0o700);
    let path = dir.path().join("x".repeat(100));
    let (error, said) = refused(&path);
    assert!(matches!(error, Error::Directory { .. }), "{error:?}");
    let bytes = path.join("supervisor.sock").as_os_str().len();
    assert_eq!(
        said,
        format!(
            "the directory {} cannot be used: its socket's path has {bytes} bytes, and the \
             kernel takes 107; choose a shorter directory",
            path.display()
        )
    );
    assert!(!path.exists(), "nothing stays behind");
}

#[test]
fn the_longest_path_that_there_may_be() {
    let dir = directory(0o700);
    let rest = 107 - "/supervisor.sock".len() - dir.path().as_os_str().len() - "/".len();
    let domain = Domain::at(dir.path().join("x".repeat(rest)));
    assert_eq!(domain.socket().as_os_str().len(), 107);
    let supervisor = Supervisor::bind(domain.clone()).unwrap();
    let stopper = supervisor.stopper();
    let thread = std::thread::spawn(move || supervisor.run());
    Hub::builder("a").domain(domain).connect().unwrap();
    stopper.stop();
    thread.join().unwrap().unwrap();
}

#[test]
fn one_that_is_a_file() {
    let dir = directory(0o700);
    let file = dir.path().join("file");
    std::fs::write(&file, "something").unwrap();
    let (_, said) = refused(&file);
    assert_eq!(
        said,
        format!("the directory {} cannot be used: it is not a directory", file.display())
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"something");
}

#[test]
fn one_that_is_a_symbolic_link() {
    let dir = directory(0o700);
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    std::fs::create_dir(&real).unwrap();
    std::fs::set_permissions(&real, Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let (_, said) = refused(&link);
    assert!(said.ends_with("cannot be used: it is not a directory"), "{said}");
}

#[test]
fn one_inside_of_a_file() {
    let dir = directory(0o700);
    let file = dir.path().join("file");
    std::fs::write(&file, "something").unwrap();
    let inside = Domain::at(file.join("domain"));
    let said = text(Supervisor::bind(inside.clone()));
    let start = format!("the directory {} cannot be used: ", inside.path().display());
    assert!(said.starts_with(&start), "{said}");
    assert!(text(Hub::builder("a").domain(inside).connect()).starts_with(&start));
}
