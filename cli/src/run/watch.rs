//! Notices that a file has another content, however that came about.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{fs, time::sleep};

/// How often the file is looked at.
const PERIOD: Duration = Duration::from_millis(200);
/// How long a new content has to last, so that a file half written is not taken for a new one.
const SETTLED: Duration = Duration::from_millis(50);

/// What is to be seen at a path: a content, or why there is none.
type Sight = Result<Vec<u8>, io::ErrorKind>;

/// A file under watch. It is read, not asked for its time: edits in place, renames over it and switched symlinks look
/// alike, and two edits within one tick of a clock do not hide each other.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    seen: Sight,
}

impl Watch {
    /// Takes what is there now as known.
    pub(super) async fn start(path: &Path) -> Self {
        Self { path: path.to_owned(), seen: look(path).await }
    }

    /// Ready when the file has another content than the last time, and that has settled.
    pub(super) async fn changed(&mut self) {
        loop {
            sleep(PERIOD).await;
            let mut sight = look(&self.path).await;
            while sight != self.seen {
                sleep(SETTLED).await;
                let again = look(&self.path).await;
                if again == sight {
                    self.seen = again;
                    return;
                }
                sight = again;
            }
        }
    }
}

async fn look(path: &Path) -> Sight {
    fs::read(path).await.map_err(|error| error.kind())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn edits_of_every_kind_are_noticed() {
        type Edit = fn(&Path);
        for (name, edit) in [
            ("in place", (|root| fs::write(root.join("link"), "2").unwrap()) as Edit),
            ("renamed over", |root| {
                fs::write(root.join("new"), "2").unwrap();
                fs::rename(root.join("new"), root.join("link")).unwrap();
            }),
            ("another target of the symlink", |root| {
                fs::write(root.join("new"), "2").unwrap();
                symlink(root.join("new"), root.join("next")).unwrap();
                fs::rename(root.join("next"), root.join("link")).unwrap();
            }),
            ("another directory behind the symlink's target", |root| {
                fs::create_dir(root.join("second")).unwrap();
                fs::write(root.join("second/file"), "2").unwrap();
                symlink("second", root.join("next")).unwrap();
                fs::rename(root.join("next"), root.join("data")).unwrap();
            }),
            ("removed", |root| fs::remove_file(root.join("link")).unwrap()),
        ] {
            let root = tempfile::tempdir().unwrap();
            let root = root.path();
            fs::create_dir(root.join("first")).unwrap();
            fs::write(root.join("first/file"), "1").unwrap();
            symlink("first", root.join("data")).unwrap();
            symlink("data/file", root.join("link")).unwrap();
            let mut watch = Watch::start(&root.join("link")).await;
            edit(root);
            assert!(timeout(Duration::from_secs(5), watch.changed()).await.is_ok(), "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_only_touched_has_not_changed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::start(file.path()).await;
        fs::write(&file, "1").unwrap();
        assert!(timeout(PERIOD * 20, watch.changed()).await.is_err());
    }
}
