//! Where the Envoy binary and the filter's module are.

use std::{
    env,
    ffi::OsString,
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

/// The Envoy that `make envoy` fetches by default.
const PINNED_ENVOY: &str = "1.40.0";
/// Name of the filter's module.
const MODULE: &str = "canary_filter.wasm";
/// How every WebAssembly module starts.
const WASM_MAGIC: [u8; 4] = *b"\0asm";

/// What the process was started with, as far as it says where things are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    envoy: Option<OsString>,
    wasm: Option<OsString>,
    path: Option<OsString>,
    cache: Option<PathBuf>,
    working_directory: Option<PathBuf>,
    executable_directory: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")));
        Self {
            envoy: set("ENVOY"),
            wasm: set("CANARY_WASM"),
            path: set("PATH"),
            cache: cache.map(|cache| cache.join("canary-filter").join("envoy")),
            working_directory: env::current_dir().ok(),
            executable_directory: env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned)),
        }
    }

    /// The Envoy binary: `--envoy`, `$ENVOY`, `envoy` in `$PATH`, then what `make envoy` put into the cache.
    ///
    /// # Errors
    /// Which place was named and has none, or that there is none at all and how to get one.
    pub(crate) fn envoy(&self, flag: Option<&Path>) -> Result<PathBuf, String> {
        let named = [("--envoy", flag), ("ENVOY", self.envoy.as_ref().map(Path::new))];
        if let Some((by, path)) = first_named(named) {
            return executable(path).map_err(|error| format!("{by}: {}: {error}", path.display()));
        }
        let on_path = self.path.iter().flat_map(env::split_paths).map(|directory| directory.join("envoy"));
        let found = on_path.chain(self.cached()).find_map(|path| executable(&path).ok());
        found.ok_or_else(|| {
            "no Envoy found: get one by `make envoy`, or name yours by --envoy FILE or ENVOY=FILE".to_owned()
        })
    }

    /// The cached binaries: the pinned version, then the others, newest first.
    fn cached(&self) -> impl Iterator<Item = PathBuf> {
        let versions = self.cache.iter().filter_map(|cache| fs::read_dir(cache).ok()).flatten().filter_map(Result::ok);
        let mut versions: Vec<OsString> = versions.map(|entry| entry.file_name()).collect();
        versions.sort_by_key(|version| {
            let numbers =
                version.to_string_lossy().split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>();
            (version == PINNED_ENVOY, numbers)
        });
        versions.into_iter().rev().filter_map(|version| Some(self.cache.as_ref()?.join(version).join("envoy")))
    }

    /// The filter's module: `--wasm`, `$CANARY_WASM`, then `dist/canary_filter.wasm` in the working directory, and the
    /// same file, with or without `dist/`, beside this executable.
    ///
    /// # Errors
    /// Which place was named and has none, or that there is none at all and how to get one.
    pub(crate) fn wasm(&self, flag: Option<&Path>) -> Result<PathBuf, String> {
        let named = [("--wasm", flag), ("CANARY_WASM", self.wasm.as_ref().map(Path::new))];
        if let Some((by, path)) = first_named(named) {
            return module(path).map_err(|error| format!("{by}: {}: {error}", path.display()));
        }
        let built = self.working_directory.iter().map(|directory| directory.join("dist").join(MODULE));
        let beside = self.executable_directory.iter();
        let beside = beside.flat_map(|directory| [directory.join(MODULE), directory.join("dist").join(MODULE)]);
        let found = built.chain(beside).find_map(|path| module(&path).ok());
        found.ok_or_else(|| {
            format!("no {MODULE} found: build it by `make build`, or name yours by --wasm FILE or CANARY_WASM=FILE")
        })
    }
}

fn first_named<'p>(named: [(&'static str, Option<&'p Path>); 2]) -> Option<(&'static str, &'p Path)> {
    named.into_iter().find_map(|(by, path)| Some((by, path?)))
}

/// The absolute path of a file that can be executed.
fn executable(path: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "not an executable file"));
    }
    path.canonicalize()
}

/// The absolute path of a WebAssembly module. It stays as it is named, so that a rebuilt module is found under it.
fn module(path: &Path) -> io::Result<PathBuf> {
    let mut start = [0; WASM_MAGIC.len()];
    let read = fs::File::open(path)?.read_exact(&mut start);
    if read.is_err() || start != WASM_MAGIC {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a WebAssembly module"));
    }
    std::path::absolute(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(path: &Path, content: &[u8], mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn envoy_is_looked_for_in_order() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for name in ["flag", "variable", "bin/envoy", "cache/1.40.0/envoy", "cache/1.9.0/envoy", "cache/1.41.0/envoy"] {
            file(&root.join(name), b"", 0o755);
        }
        file(&root.join("other/1.9.0/envoy"), b"", 0o755);
        file(&root.join("other/1.10.0/envoy"), b"", 0o755);
        file(&root.join("plain"), b"", 0o644);
        let all = Surroundings {
            envoy: Some(root.join("variable").into()),
            path: Some(root.join("bin").into()),
            cache: Some(root.join("cache")),
            ..Surroundings::default()
        };
        let cache_only = |name: &str| Surroundings { cache: Some(root.join(name)), ..Surroundings::default() };
        let without_variable = Surroundings { envoy: None, ..all.clone() };
        for (name, surroundings, flag, expected) in [
            ("flag", all.clone(), Some("flag"), Ok("flag")),
            ("variable", all.clone(), None, Ok("variable")),
            ("PATH", without_variable, None, Ok("bin/envoy")),
            ("pinned version of the cache", cache_only("cache"), None, Ok("cache/1.40.0/envoy")),
            ("newest version of the cache", cache_only("other"), None, Ok("other/1.10.0/envoy")),
            ("a flag that names nothing", all.clone(), Some("absent"), Err("--envoy: ")),
            ("a flag that names no executable", all, Some("plain"), Err("not an executable file")),
            ("nowhere", cache_only("absent"), None, Err("`make envoy`")),
        ] {
            let flag = flag.map(|flag| root.join(flag));
            match (surroundings.envoy(flag.as_deref()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, root.join(expected), "{name}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{name}: {error}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }

    #[test]
    fn the_module_is_looked_for_in_order() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for name in ["flag", "variable", "work/dist/canary_filter.wasm", "beside/canary_filter.wasm"] {
            file(&root.join(name), b"\0asm\x01", 0o644);
        }
        file(&root.join("text"), b"#!/bin/sh", 0o644);
        let all = Surroundings {
            wasm: Some(root.join("variable").into()),
            working_directory: Some(root.join("work")),
            executable_directory: Some(root.join("beside")),
            ..Surroundings::default()
        };
        let without_variable = Surroundings { wasm: None, ..all.clone() };
        let elsewhere = Surroundings { working_directory: Some(root.join("elsewhere")), ..without_variable.clone() };
        for (name, surroundings, flag, expected) in [
            ("flag", all.clone(), Some("flag"), Ok("flag")),
            ("variable", all.clone(), None, Ok("variable")),
            ("working directory", without_variable, None, Ok("work/dist/canary_filter.wasm")),
            ("beside the executable", elsewhere, None, Ok("beside/canary_filter.wasm")),
            ("a flag that names nothing", all.clone(), Some("absent"), Err("--wasm: ")),
            ("a flag that names no module", all, Some("text"), Err("not a WebAssembly module")),
            ("nowhere", Surroundings::default(), None, Err("`make build`")),
        ] {
            let flag = flag.map(|flag| root.join(flag));
            match (surroundings.wasm(flag.as_deref()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, root.join(expected), "{name}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{name}: {error}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }
}
