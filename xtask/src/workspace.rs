//! What the rules look at: the tracked files, the crates with their direct dependencies, the resolved graph.
//!
//! Plain data, so that a test can plant a breach by writing one down.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// The graph is resolved for this target: it is the one that everybody builds, and it leaves the dependencies of
/// other operating systems out.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Files above this size (bytes) are data, not text that somebody wrote.
const LARGEST_TEXT: u64 = 2 * 1024 * 1024;

/// The ring of a crate, from its folder. `lab` and `xtask` stand outside the rings.
pub fn ring_of(folder: &str) -> Option<u8> {
    let rings = [("wire", 0), ("core", 1), ("edge", 2), ("io", 3), ("app", 4)];
    let place = folder.strip_prefix("crates/")?.split('/').next()?;
    rings.iter().find(|(name, _)| *name == place).map(|(_, ring)| *ring)
}

/// A tracked text file.
#[derive(Debug, Clone)]
pub struct TextFile {
    /// Path below the root, with forward slashes.
    pub path: String,
    /// Content; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// A workspace member.
#[derive(Debug, Clone, Default)]
pub struct Crate {
    /// Package name.
    pub name: String,
    /// Folder below the root.
    pub folder: String,
    /// Direct dependencies of the product (normal and build), by package name.
    pub dependencies: Vec<String>,
    /// Direct dependencies of the tests only, by package name.
    pub dev_dependencies: Vec<String>,
    /// `rust-version` as `major.minor`.
    pub rust_version: Option<String>,
}

/// One package of the resolved graph.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Package name.
    pub name: String,
    /// Identities of the packages it links in normal builds.
    pub dependencies: Vec<String>,
}

/// Everything the rules look at.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Root folder.
    pub root: PathBuf,
    /// Tracked (and not yet tracked, but not ignored) text files.
    pub files: Vec<TextFile>,
    /// Members.
    pub crates: Vec<Crate>,
    /// Resolved packages by identity.
    pub graph: BTreeMap<String, Node>,
}

impl Workspace {
    /// Reads the workspace that this program was built from.
    pub fn load() -> Result<Self> {
        let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = xtask.parent().context("xtask stands in the root folder")?.to_path_buf();
        let metadata = MetadataCommand::new()
            .current_dir(&root)
            .other_options(vec!["--filter-platform".to_owned(), TARGET.to_owned()])
            .exec()
            .context("cargo metadata")?;
        let files = read_files(&root)?;
        let crates = metadata.workspace_packages().into_iter().map(|package| member(&root, package)).collect();
        Ok(Self { files, crates, graph: graph(&metadata), root })
    }

    /// The Rust files.
    pub fn rust_files(&self) -> impl Iterator<Item = &TextFile> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The file at `path`, if it is there.
    pub fn file(&self, path: &str) -> Option<&TextFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The members of rings 0 to 2.
    pub fn inner_crates(&self) -> impl Iterator<Item = &Crate> {
        self.crates.iter().filter(|member| ring_of(&member.folder).is_some_and(|ring| ring <= 2))
    }
}

fn member(root: &Path, package: &Package) -> Crate {
    let folder = package.manifest_path.parent().map(|path| path.as_std_path().to_path_buf()).unwrap_or_default();
    let folder = folder.strip_prefix(root).unwrap_or(&folder).to_string_lossy().replace('\\', "/");
    let of_kind = |dev: bool| {
        let mut names: Vec<String> = package
            .dependencies
            .iter()
            .filter(|dependency| (dependency.kind == DependencyKind::Development) == dev)
            .map(|dependency| dependency.name.to_string())
            .collect();
        names.sort();
        names.dedup();
        names
    };
    Crate {
        name: package.name.to_string(),
        folder,
        dependencies: of_kind(false),
        dev_dependencies: of_kind(true),
        rust_version: package.rust_version.as_ref().map(|v| format!("{}.{}", v.major, v.minor)),
    }
}

fn graph(metadata: &Metadata) -> BTreeMap<String, Node> {
    let names: BTreeMap<String, String> =
        metadata.packages.iter().map(|package| (package.id.repr.clone(), package.name.to_string())).collect();
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    nodes
        .map(|node| {
            let dependencies = node
                .deps
                .iter()
                .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal))
                .map(|dep| dep.pkg.repr.clone())
                .collect();
            let name = names.get(&node.id.repr).cloned().unwrap_or_default();
            (node.id.repr.clone(), Node { name, dependencies })
        })
        .collect()
}

fn read_files(root: &Path) -> Result<Vec<TextFile>> {
    let mut files = Vec::new();
    for path in list_files(root)? {
        let full = root.join(&path);
        // A file can be listed and gone (deleted, not yet committed), or be a link to a folder.
        let Ok(about) = std::fs::metadata(&full) else {
            continue;
        };
        if !about.is_file() || about.len() > LARGEST_TEXT {
            continue;
        }
        let bytes = std::fs::read(&full).with_context(|| format!("read {path}"))?;
        files.push(TextFile { path, text: String::from_utf8_lossy(&bytes).into_owned() });
    }
    Ok(files)
}

/// Paths known to git, or new and not ignored. Outside a clone (a source archive), every file but `target`.
fn list_files(root: &Path) -> Result<Vec<String>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output();
    let mut paths = match listed {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect()
        }
        _ => {
            let mut found = Vec::new();
            walk(root, "", &mut found)?;
            found
        }
    };
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn walk(root: &Path, below: &str, found: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(root.join(below)).with_context(|| format!("list {below}"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && name != "target" && name != ".git" {
            walk(root, &path, found)?;
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_follow_folders() {
        assert_eq!(ring_of("crates/wire/sdp"), Some(0));
        assert_eq!(ring_of("crates/core/call"), Some(1));
        assert_eq!(ring_of("crates/edge/shard"), Some(2));
        assert_eq!(ring_of("crates/io/net"), Some(3));
        assert_eq!(ring_of("crates/app/server"), Some(4));
        assert_eq!(ring_of("lab"), None);
        assert_eq!(ring_of("crates/other/x"), None);
    }

    /// The rules are only as good as what they are given: an empty graph would please all of them.
    #[test]
    fn the_real_workspace_is_read_with_its_edges_and_files() {
        let workspace = Workspace::load().unwrap();
        let b2bua = workspace.inner_crates().find(|member| member.folder == "crates/edge/b2bua").unwrap();
        assert!(b2bua.dependencies.iter().any(|name| name == "hookswitch-call"));
        assert!(b2bua.rust_version.is_some());
        let drive = workspace.graph.values().find(|node| node.name == "hookswitch-drive").unwrap();
        let linked: Vec<&str> = drive.dependencies.iter().map(|id| workspace.graph[id].name.as_str()).collect();
        assert!(linked.contains(&"tokio"), "{linked:?}");
        assert!(workspace.file("Cargo.toml").is_some() && workspace.rust_files().count() > 20);
    }

    #[test]
    fn an_archive_without_git_is_walked_without_its_target_folder() {
        let root = std::env::temp_dir().join(format!("hookswitch-xtask-{}", std::process::id()));
        std::fs::create_dir_all(root.join("target/debug")).unwrap();
        std::fs::create_dir_all(root.join("src")).unwrap();
        std::fs::write(root.join("src/a.rs"), "").unwrap();
        std::fs::write(root.join("target/debug/b.rs"), "").unwrap();
        let mut found = Vec::new();
        walk(&root, "", &mut found).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, ["src/a.rs"]);
    }
}
