//! A registry of images.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use crate::{
    istio::{
        server::{Server, command},
        tools::Tools,
    },
    ports,
};

/// A running docker-registry without passwords and TLS.
#[derive(Debug)]
pub struct Registry {
    _server: Server,
    address: SocketAddr,
}

impl Registry {
    /// Starts it in `folder`.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(tools: &Tools, folder: &Path) -> Self {
        let [address] = ports::free();
        let configuration = folder.join("registry.yaml");
        let text = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
            folder.join("registry").display()
        );
        fs::write(&configuration, text).expect("write the registry's configuration");
        let server = Server::start(
            "registry",
            folder,
            command(tools.program("docker-registry")).arg("serve").arg(&configuration),
        );
        server.listens(address).await;
        Self { _server: server, address }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of an image, `NAME:TAG`, as Istio takes it.
    #[must_use]
    pub fn url(&self, image: &str) -> String {
        format!("oci://{}/{image}", self.address)
    }

    /// Pushes a module as an image `NAME:TAG`.
    ///
    /// # Panics
    /// If it fails.
    pub fn push(&self, wasm: &Path, image: &str) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let run = |script: &str, arguments: &[&str]| {
            let output =
                Command::new("sh").args(["-ec", script, "sh"]).args(arguments).current_dir(folder.path()).output();
            let output = output.expect("run a shell");
            assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let target = format!("docker://{}/{image}", self.address);
        run(PUSH, &[&wasm.display().to_string(), &target]);
    }
}

const PUSH: &str = r#"
cp "$1" plugin.wasm && mkdir image && tar -czf layer plugin.wasm
diff=$(gzip -dc layer | sha256sum | cut -d' ' -f1); digest=$(sha256sum layer | cut -d' ' -f1); size=$(stat -c %s layer)
printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' $diff > config
config=$(sha256sum config | cut -d' ' -f1)
printf '{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":%s,"digest":"sha256:%s"},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":%s,"digest":"sha256:%s"}]}' $(stat -c %s config) $config $size $digest > image/manifest.json
mv layer image/$digest; mv config image/$config; echo 'Directory Transport Version: 1.1' > image/version
skopeo copy --insecure-policy --dest-tls-verify=false dir:image "$2"
"#;
