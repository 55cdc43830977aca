//! Which Envoys, which .wasm and which canaryctl the tests are about.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

const DEFAULT_VERSIONS: &str = "1.36.4 1.38.2 1.40.0";

/// An Envoy to test against.
#[derive(Debug, Clone)]
pub struct EnvoyBinary {
    /// Its version, such as `1.40.0`.
    pub version: String,
    /// The executable.
    pub path: PathBuf,
}

/// `$ENVOY` alone if it is set, else the versions of `$ENVOY_VERSIONS` (blank-separated) from the cache that
/// `scripts/get-envoy` fills.
///
/// # Errors
/// What is missing, and the command that brings it.
pub fn envoys() -> Result<Vec<EnvoyBinary>, String> {
    if let Some(path) = env::var_os("ENVOY").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return Ok(vec![EnvoyBinary { version: version_of(&path)?, path }]);
    }
    let versions = env::var("ENVOY_VERSIONS").unwrap_or_else(|_| DEFAULT_VERSIONS.to_owned());
    versions.split_whitespace().map(cached).collect()
}

/// The filter: `$CANARY_WASM`, else `dist/canary_filter.wasm` of this workspace.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn wasm() -> PathBuf {
    let path = env::var_os("CANARY_WASM").map_or_else(|| workspace().join("dist/canary_filter.wasm"), PathBuf::from);
    assert!(path.is_file(), "{} is not there: run `make build`", path.display());
    path
}

/// canaryctl: `$CANARYCTL`, else the one that was built into the folder of this test's profile.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn canaryctl() -> PathBuf {
    let named = env::var_os("CANARYCTL").filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = named.unwrap_or_else(|| ancestor_of_test(2).join("canaryctl"));
    assert!(path.is_file(), "{} is not there: run `make build`, or set CANARYCTL", path.display());
    path.canonicalize().expect("an absolute path")
}

/// Where this test was built, and everything else is.
///
/// # Panics
/// When the running test is not in cargo's `PROFILE/deps` of it.
#[must_use]
pub fn target_directory() -> PathBuf {
    ancestor_of_test(3)
}

/// The root of the project.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is a folder of the workspace")
}

/// The test is `TARGET_DIRECTORY/PROFILE/deps/TEST`.
fn ancestor_of_test(levels: usize) -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    test.ancestors().nth(levels).unwrap_or_else(|| panic!("{} is not in a target directory", test.display())).to_owned()
}

fn cached(version: &str) -> Result<EnvoyBinary, String> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    let path = cache.join("canary-filter/envoy").join(version).join("envoy");
    if path.is_file() {
        Ok(EnvoyBinary { version: version.to_owned(), path })
    } else {
        Err(format!("{} is not there: run `scripts/get-envoy {version}`", path.display()))
    }
}

/// From `… version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`.
fn version_of(envoy: &Path) -> Result<String, String> {
    let output =
        Command::new(envoy).arg("--version").output().map_err(|error| format!("ENVOY={}: {error}", envoy.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.split('/')
        .find(|part| part.starts_with(|first: char| first.is_ascii_digit()) && part.split('.').count() == 3)
        .map(str::to_owned)
        .ok_or_else(|| format!("ENVOY={}: --version says {text:?}, which names no version", envoy.display()))
}
