//! Where the switch keeps what outlives it, and who may read its configuration.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::check::Check;

const AREA: &str = "store";

/// Less free room than this is told; a hundred thousand registrations take a tenth of it.
const LITTLE: u64 = 1_000_000_000;

/// Less than this, and it will soon be over.
const TOO_LITTLE: u64 = 100_000_000;

/// File systems that are gone after a restart.
const FLEETING: [&str; 2] = ["tmpfs", "ramfs"];

/// File systems on other hosts: slow, and their locks are not to be relied on.
const REMOTE: [&str; 6] = ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph"];

/// What is known of the folder.
#[derive(Clone, Debug)]
pub struct Facts {
    pub folder: PathBuf,
    pub access: Access,
    /// Of which kind the file system is.
    pub kind: Option<String>,
    /// Free room for this user, in bytes.
    pub free: Option<u64>,
    /// The configuration file, and its access rights.
    pub config: Option<(PathBuf, u32)>,
    /// Whether the configuration holds passwords.
    pub has_secrets: bool,
}

/// Whether files can be made there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Access {
    Writable,
    /// It is not there, and can be made.
    CanBeMade,
    Not(String),
}

pub fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![access(facts)];
    let subject = facts.folder.display().to_string();
    checks.extend(facts.kind.as_deref().map(|kind| kind_of(&subject, kind)));
    checks.extend(facts.free.map(|free| room(&subject, free)));
    checks.extend(facts.config.as_ref().map(|(file, mode)| rights(file, *mode, facts.has_secrets)));
    checks
}

fn access(facts: &Facts) -> Check {
    let subject = facts.folder.display().to_string();
    match &facts.access {
        Access::Writable => Check::ok(AREA, subject, "can be written"),
        Access::CanBeMade => Check::ok(AREA, subject, "is not there yet, and can be made"),
        Access::Not(why) => Check::error(
            AREA,
            subject,
            format!("this user cannot write it: {why}"),
            "run this as the user of the service, or give that one the folder (data_dir)",
        ),
    }
}

fn kind_of(folder: &str, kind: &str) -> Check {
    let subject = format!("{folder}, file system");
    let advice = "set data_dir to a disk of this host";
    if FLEETING.contains(&kind) {
        Check::warning(
            AREA,
            subject,
            format!("{kind}: gone after a restart of the host, registrations and bans too"),
            advice,
        )
    } else if REMOTE.contains(&kind) || kind.starts_with("fuse.") {
        Check::warning(
            AREA,
            subject,
            format!("{kind}: of another host or program, slow and without safe locks"),
            advice,
        )
    } else if kind == "overlay" {
        let seen = "overlay: goes with its container";
        Check::warning(AREA, subject, seen, "mount a volume at data_dir")
    } else {
        Check::ok(AREA, subject, kind)
    }
}

fn room(folder: &str, free: u64) -> Check {
    let subject = format!("{folder}, room");
    let seen = format!("{} MB free", free / 1_000_000);
    let advice = "make room, or set data_dir to a larger disk";
    match free {
        ..TOO_LITTLE => Check::error(AREA, subject, seen, advice),
        TOO_LITTLE..LITTLE => Check::warning(AREA, subject, seen, advice),
        LITTLE.. => Check::ok(AREA, subject, seen),
    }
}

fn rights(file: &Path, mode: u32, has_secrets: bool) -> Check {
    let subject = file.display().to_string();
    let mode = mode & 0o7777;
    if mode & 0o002 != 0 {
        let seen = format!("mode {mode:04o}: every user of this host may change it");
        return Check::error(AREA, &subject, seen, format!("chmod 640 {subject}, with the group of the service"));
    }
    if mode & 0o004 != 0 && has_secrets {
        let seen = format!("mode {mode:04o}: every user of this host may read the passwords in it");
        return Check::warning(AREA, &subject, seen, format!("chmod 640 {subject}, with the group of the service"));
    }
    Check::ok(AREA, subject, format!("mode {mode:04o}"))
}

/// Looks at the folder; leaves nothing there.
pub fn collect(folder: PathBuf, config: Option<&Path>, has_secrets: bool) -> Facts {
    let (access, there) = try_folder(&folder);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let kind = there.as_deref().and_then(|there| kind(&mounts, there));
    // Zero blocks are what file systems say that do not count them.
    let space = there.as_deref().and_then(|there| rustix::fs::statvfs(there).ok()).filter(|space| space.f_blocks > 0);
    let free = space.map(|space| space.f_bavail.saturating_mul(space.f_frsize));
    let mode = |file: &Path| Some((file.to_owned(), fs::metadata(file).ok()?.permissions().mode()));
    Facts { folder, access, kind, free, config: config.and_then(mode), has_secrets }
}

/// Whether files can be made in a folder, or else the folder itself; and the nearest folder above it that exists.
fn try_folder(folder: &Path) -> (Access, Option<PathBuf>) {
    let there = folder.ancestors().find(|path| path.exists()).and_then(|path| path.canonicalize().ok());
    let Some(place) = there.as_deref() else { return (Access::Not("no such folder".to_owned()), None) };
    let access = match (try_file(place), folder.exists()) {
        (Ok(()), true) => Access::Writable,
        (Ok(()), false) => Access::CanBeMade,
        (Err(error), _) => Access::Not(error.to_string()),
    };
    (access, there)
}

fn try_file(folder: &Path) -> io::Result<()> {
    let file = folder.join(format!(".hookswitch-doctor-{}", std::process::id()));
    File::create_new(&file)?;
    fs::remove_file(file)
}

/// Of which kind the file system is that a folder is on, from a table such as /proc/self/mountinfo.
fn kind(mounts: &str, folder: &Path) -> Option<String> {
    let row = |line: &str| {
        let (place, rest) = line.split_once(" - ")?;
        // Spaces are written as \040 there.
        let place = PathBuf::from(place.split(' ').nth(4)?.replace("\\040", " "));
        let kind = rest.split(' ').next()?.to_owned();
        folder.starts_with(&place).then(|| (place.components().count(), kind))
    };
    // Of several at the same place the last one counts.
    mounts.lines().filter_map(row).max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;

    fn facts() -> Facts {
        Facts {
            folder: "/var/lib/hookswitch".into(),
            access: Access::Writable,
            kind: Some("ext4".into()),
            free: Some(50_000_000_000),
            config: Some(("/etc/hookswitch.yml".into(), 0o100_640)),
            has_secrets: true,
        }
    }

    #[test]
    fn a_folder_is_to_be_writable_lasting_and_large() {
        assert!(judge(&facts()).iter().all(|check| check.state == State::Ok), "{:?}", judge(&facts()));
        assert_eq!(access(&Facts { access: Access::CanBeMade, ..facts() }).state, State::Ok);
        assert_eq!(access(&Facts { access: Access::Not("denied".into()), ..facts() }).state, State::Error);
        for (name, state) in [
            ("xfs", State::Ok),
            ("tmpfs", State::Warning),
            ("nfs4", State::Warning),
            ("fuse.sshfs", State::Warning),
            ("overlay", State::Warning),
        ] {
            assert_eq!(kind_of("/d", name).state, state, "{name}");
        }
        assert_eq!(room("/d", 99_000_000).state, State::Error);
        assert_eq!(room("/d", 999_000_000).state, State::Warning);
    }

    #[test]
    fn passwords_are_not_for_everybody() {
        let file = Path::new("/etc/hookswitch.yml");
        assert_eq!(rights(file, 0o100_644, true).state, State::Warning);
        assert_eq!(rights(file, 0o100_644, false).state, State::Ok);
        assert_eq!(rights(file, 0o100_666, false).state, State::Error);
    }

    #[test]
    fn folders_are_tried_and_left_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(try_folder(folder.path()).0, Access::Writable);
        assert_eq!(try_folder(&folder.path().join("a/b")).0, Access::CanBeMade);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(matches!(try_folder(Path::new("/proc/1")).0, Access::Not(_)));
    }

    #[test]
    fn the_nearest_mount_says_the_kind() {
        let mounts = "1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
            2 1 0:5 / /var/lib/my\\040data rw - tmpfs tmpfs rw\n3 1 8:2 / /var rw shared:2 master:1 - xfs /dev/sda2 rw\n";
        let kind = |folder: &str| kind(mounts, Path::new(folder)).unwrap();
        assert_eq!(kind("/home"), "ext4");
        assert_eq!(kind("/var/lib"), "xfs");
        assert_eq!(kind("/var/lib/my data/x"), "tmpfs");
    }
}
