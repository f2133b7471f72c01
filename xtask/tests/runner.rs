//! `./test` counts what its tests say, and its closing line and exit status agree with the count.
//!
//! The script runs in a folder of its own with a `cargo` that builds nothing and with empty stand-ins for the programs
//! it would otherwise install.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const STAND_INS: &[&str] = &[
    "gcc",
    "g++",
    "cmake",
    "git",
    "python3",
    "ip",
    "sox",
    "tshark",
    "baresip",
    "sipp",
    "linphonec",
    "kamailio",
    "rtpengine",
    "chromium",
    "twinkle-console",
    "pulseaudio",
    "sip-options",
    "make",
    "man",
    "strace",
    "systemd-analyze",
    "systemd-sysusers",
    "dpkg-shlibdeps",
    "readelf",
    "mmdebstrap",
];

/// Says `UNIT_TESTS` when asked to test; when asked to build it leaves a binary, and fails with `BUILD_STATUS`.
const CARGO: &str = r#"
case $1 in
  test) printf "$UNIT_TESTS"; exit "${UNIT_STATUS:-0}" ;;
  clippy) exit "${LINT_STATUS:-0}" ;;
  build)
    mkdir -p "$CARGO_TARGET_DIR/release"
    printf '#!/bin/sh\n' > "$CARGO_TARGET_DIR/release/hookswitch"
    chmod +x "$CARGO_TARGET_DIR/release/hookswitch"
    exit "${BUILD_STATUS:-0}" ;;
esac"#;

/// A folder with the script, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, tests: &[(&str, &str)]) -> Self {
        let root = std::env::temp_dir().join(format!("hookswitch-runner-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::create_dir_all(root.join("interop")).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../test");
        fs::copy(script, root.join("test")).unwrap();
        executable(&root.join("bin/cargo"), CARGO);
        for name in STAND_INS {
            executable(&root.join("bin").join(name), "exit 0");
        }
        for (name, body) in tests {
            executable(&root.join("interop").join(format!("{name}.test")), body);
        }
        Self(root)
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let path = format!("{}:{}", self.0.join("bin").display(), std::env::var("PATH").unwrap());
        Command::new(self.0.join("test"))
            .args(arguments)
            .env("PATH", path)
            .env("CARGO_TARGET_DIR", self.0.join("target"))
            .env_remove("CI")
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder left behind in the temporary directory harms nothing.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn executable(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/bash\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn closing_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned()
}

/// The release build counts as one test beside those of `interop/`.
#[test]
fn passes_and_skips_are_counted_and_named() {
    let folder = Folder::new(
        "passes",
        &[
            ("finds-its-binary", "[[ -x $HOOKSWITCH && -d $SCRATCH ]]"),
            ("needs-a-phone", "echo 'no phone here'; exit 77"),
        ],
    );
    let output = folder.run(&["interop"], &[]);
    assert_eq!(closing_line(&output), "2 passed, 0 failed, 1 skipped");
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("no phone here"));
}

#[test]
fn a_failure_and_a_test_without_an_end_fail_the_run() {
    let folder = Folder::new(
        "failures",
        &[("breaks", "echo 'what broke'; exit 3"), ("hangs", "# timeout: 1\nsleep 60"), ("works", "true")],
    );
    let output = folder.run(&["interop"], &[]);
    assert_eq!(closing_line(&output), "2 passed, 2 failed, 0 skipped");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("| what broke") && text.contains("no end after 1 s"), "{text}");
}

#[test]
fn only_the_named_tests_run_and_a_wrong_name_fails() {
    let folder = Folder::new("named", &[("one", "true"), ("two", "exit 1")]);
    assert_eq!(closing_line(&folder.run(&["interop", "one"], &[])), "2 passed, 0 failed, 0 skipped");
    let output = folder.run(&["interop", "three"], &[]);
    assert_eq!(closing_line(&output), "1 passed, 1 failed, 0 skipped");
    assert!(!output.status.success());
}

#[test]
fn a_skip_fails_where_everything_can_be_installed() {
    let folder = Folder::new("strict", &[("needs-a-phone", "echo 'no phone here'; exit 77")]);
    let output = folder.run(&["interop"], &[("CI", "true")]);
    let as_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let expected = if as_root { "1 passed, 1 failed, 0 skipped" } else { "1 passed, 0 failed, 1 skipped" };
    assert_eq!(closing_line(&output), expected);
}

#[test]
fn nothing_runs_against_the_binary_of_an_older_build() {
    let folder = Folder::new("stale", &[("works", "true")]);
    let output = folder.run(&["interop"], &[("BUILD_STATUS", "101")]);
    assert_eq!(closing_line(&output), "0 passed, 1 failed, 0 skipped");
    assert!(!output.status.success());
}

/// `quick` counts the lock file, the format, the lints and the house rules as one test each.
#[test]
fn the_numbers_of_every_test_program_are_added_up() {
    let folder = Folder::new("quick", &[]);
    let said = "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\\n\
                test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out\\n";
    let output = folder.run(&["quick"], &[("UNIT_TESTS", said), ("UNIT_STATUS", "101")]);
    assert_eq!(closing_line(&output), "19 passed, 2 failed, 1 skipped");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_lint_or_a_test_build_that_fails_is_one_failure() {
    let folder = Folder::new("quick-fails", &[]);
    let output = folder.run(&["quick"], &[("LINT_STATUS", "101")]);
    assert_eq!(closing_line(&output), "3 passed, 1 failed, 0 skipped");
    let output = folder.run(&["quick"], &[("UNIT_STATUS", "101")]);
    assert_eq!(closing_line(&output), "4 passed, 1 failed, 0 skipped");
    assert!(!output.status.success());
}
