//! Where a supervisor and its hubs meet: a directory with a socket.

use crate::error::Error;
use nix::sys::stat::{Mode, lstat};
use nix::unistd::{Uid, mkdir};
use std::path::{Path, PathBuf};

/// One supervisor and its hubs: a directory of mode 0700 that belongs to the user who runs them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Domain {
    path: PathBuf,
}

/// The longest path that a Unix socket may have, without the final zero.
const SOCKET_PATH_MAX: usize = 107;

impl Domain {
    /// The directory that everybody on this host uses who says nothing else: `$EPHAPSE_DIR`, else
    /// `$XDG_RUNTIME_DIR/ephapse`, else `/run/user/UID/ephapse`, else `/tmp/ephapse-UID`.
    #[must_use]
    pub fn from_env() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(path) = set("EPHAPSE_DIR") {
            return Self::at(PathBuf::from(path));
        }
        if let Some(runtime) = set("XDG_RUNTIME_DIR") {
            return Self::at(PathBuf::from(runtime).join("ephapse"));
        }
        let uid = Uid::effective();
        let run = PathBuf::from(format!("/run/user/{uid}"));
        if run.is_dir() {
            return Self::at(run.join("ephapse"));
        }
        Self::at(format!("/tmp/ephapse-{uid}"))
    }

    /// A directory of the caller's choice. It is made when a supervisor is bound to it.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned() }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The supervisor's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path.join("supervisor.sock")
    }

    /// Held by the running supervisor.
    pub(crate) fn lock(&self) -> PathBuf {
        self.path.join("supervisor.lock")
    }

    /// The number of the last supervisor's run, which stays when it stops.
    pub(crate) fn epoch(&self) -> PathBuf {
        self.path.join("supervisor.epoch")
    }

    /// What a supervisor counts, and what troubles it has had; there while it runs, and after it
    /// has been killed.
    pub(crate) fn flight(&self) -> PathBuf {
        self.path.join("supervisor.flight")
    }

    /// The directory for those who look at counters: the same text from wherever it is named.
    pub(crate) fn text(&self) -> String {
        let whole = std::fs::canonicalize(&self.path).or_else(|_| std::path::absolute(&self.path));
        whole.as_deref().unwrap_or(&self.path).to_string_lossy().into_owned()
    }

    /// Makes the directory if it is not there, and refuses one that others could have prepared.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        self.check_path()?;
        if let Some(parent) = self.path.parent().filter(|parent| !parent.exists()) {
            std::fs::create_dir_all(parent).map_err(|source| self.unusable(&source.to_string()))?;
        }
        match mkdir(&self.path, Mode::S_IRWXU) {
            Ok(()) | Err(nix::errno::Errno::EEXIST) => self.check(),
            Err(errno) => Err(self.unusable(errno.desc())),
        }
    }

    /// Refuses a directory that is not ours alone.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.check_path()?;
        let stat = match lstat(&self.path) {
            Ok(stat) => stat,
            Err(nix::errno::Errno::ENOENT) => {
                return Err(Error::NoSupervisor { path: self.socket() });
            }
            Err(errno) => return Err(self.unusable(errno.desc())),
        };
        let uid = Uid::effective().as_raw();
        if stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
            return Err(self.unusable("it is not a directory"));
        }
        if stat.st_uid != uid {
            return Err(Error::ForeignDirectory {
                path: self.path.clone(),
                owner: stat.st_uid,
                uid,
            });
        }
        let mode = stat.st_mode & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::OpenDirectory { path: self.path.clone(), mode });
        }
        Ok(())
    }

    fn check_path(&self) -> Result<(), Error> {
        let len = self.socket().as_os_str().len();
        if len > SOCKET_PATH_MAX {
            return Err(self.unusable(&format!(
                "its socket's path has {len} bytes, and the kernel takes {SOCKET_PATH_MAX}; \
                 choose a shorter directory"
            )));
        }
        Ok(())
    }

    fn unusable(&self, why: &str) -> Error {
        Error::Directory { path: self.path.clone(), why: why.to_owned() }
    }
}

impl From<&Path> for Domain {
    fn from(path: &Path) -> Self {
        Self::at(path)
    }
}
