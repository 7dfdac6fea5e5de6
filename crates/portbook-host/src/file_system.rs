use std::io;
use std::path::Path;

use serde::Serialize;

/// The file system that a path lies on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileSystem {
    /// Its kind, as `mount` shows it: `ext4`, `nfs4`, `fuse.sshfs`.
    pub name: String,
    /// Whether another kernel may write to it at the same time: then neither locks nor shared
    /// memory hold what SQLite needs of them.
    pub is_network: bool,
    /// How much an ordinary user can still write.
    pub free_bytes: u64,
    /// Whether nothing can be written.
    pub read_only: bool,
}

/// The file system that `path`, which must exist, lies on.
#[cfg(target_os = "linux")]
pub fn file_system(path: impl AsRef<Path>) -> io::Result<FileSystem> {
    use rustix::fs::{StatVfsMountFlags, statvfs};

    let path = path.as_ref();
    let magic = magic(path)?;
    let space = statvfs(path)?;
    let (name, is_network) = classify(magic, mounted_as(path)?.as_deref());
    Ok(FileSystem {
        name,
        is_network,
        free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        read_only: space.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}

/// The kind of the file system that `path`, which must exist, lies on, if it is one to which other
/// kernels may write. Costs one system call for all but FUSE.
#[cfg(target_os = "linux")]
pub fn network_file_system(path: impl AsRef<Path>) -> io::Result<Option<String>> {
    let path = path.as_ref();
    let magic = magic(path)?;
    let kind = if magic == FUSE {
        mounted_as(path)?
    } else {
        None
    };
    let (name, is_network) = classify(magic, kind.as_deref());
    Ok(is_network.then_some(name))
}

/// The kind of the file system that `path` lies on, if it is a network's.
#[cfg(not(target_os = "linux"))]
pub fn network_file_system(_path: impl AsRef<Path>) -> io::Result<Option<String>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What `statfs` says of the file system. The kernel's type for it has a sign on some machines and
/// none on others; it has 32 bits.
#[cfg(target_os = "linux")]
fn magic(path: &Path) -> io::Result<u64> {
    Ok(rustix::fs::statfs(path)?.f_type as u64 & 0xffff_ffff)
}

#[cfg(target_os = "linux")]
fn mounted_as(path: &Path) -> io::Result<Option<String>> {
    use rustix::fs::{major, minor, stat};

    let device = stat(path)?.st_dev;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    Ok(mount_type(&mounts, major(device), minor(device)).map(str::to_owned))
}

/// The file system that `path` lies on.
#[cfg(not(target_os = "linux"))]
pub fn file_system(_path: impl AsRef<Path>) -> io::Result<FileSystem> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The type of the mount of this device; `None` where a file system numbers its parts itself
/// (btrfs), so that no mount has the number.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn mount_type(mounts: &str, major: u32, minor: u32) -> Option<&str> {
    let device = format!("{major}:{minor}");
    mounts.lines().find_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        (mount.split(' ').nth(2)? == device).then(|| source.split(' ').next())?
    })
}

/// The kinds of file system by the numbers that `statfs` gives, with whether other kernels write to
/// them: over a network, on a disk shared by a cluster, or on a folder that a virtual machine has
/// from its host.
const KINDS: [(u64, &str, bool); 35] = [
    (0x6969, "nfs", true),
    (0xff53_4d42, "cifs", true),
    (0xfe53_4d42, "smb2", true),
    (0x517b, "smb", true),
    (0x564c, "ncp", true),
    (0x7375_7245, "coda", true),
    (0x5346_414f, "afs", true),
    (0x6b41_4653, "kafs", true),
    (0x0102_1997, "9p", true),
    (0x00c3_6400, "ceph", true),
    (0x0bd0_0bd0, "lustre", true),
    (0x0116_1970, "gfs2", true),
    (0x7461_636f, "ocfs2", true),
    (0x4750_4653, "gpfs", true),
    (0x1983_0326, "beegfs", true),
    (0xaad7_aaea, "panfs", true),
    (0x2003_0528, "orangefs", true),
    (0x786f_4256, "vboxsf", true),
    (0xbacb_acbc, "vmhgfs", true),
    (0xef53, "ext4", false),
    (0x5846_5342, "xfs", false),
    (0x9123_683e, "btrfs", false),
    (0x2fc1_2fc1, "zfs", false),
    (0xf2f5_2010, "f2fs", false),
    (0xca45_1a4e, "bcachefs", false),
    (0x0102_1994, "tmpfs", false),
    (0x8584_58f6, "ramfs", false),
    (0x794c_7630, "overlay", false),
    (0x7371_7368, "squashfs", false),
    (0xe0f5_e1e2, "erofs", false),
    (0x4d44, "vfat", false),
    (0x2011_bab0, "exfat", false),
    (0x7366_746e, "ntfs3", false),
    (0xf15f, "ecryptfs", false),
    (FUSE, "fuse", false),
];

const FUSE: u64 = 0x6573_5546;

/// What reaches other machines by FUSE, which has one number for all: the part of the mount's type
/// that follows `fuse.`, up to a version.
const NETWORK_FUSE: [&str; 28] = [
    "afp",
    "blobfuse",
    "ceph",
    "cephfs",
    "curlftpfs",
    "davfs",
    "fuse_dfs",
    "gcsfuse",
    "geesefs",
    "glusterfs",
    "goofys",
    "grpcfuse",
    "gvfsd-fuse",
    "hdfs",
    "juicefs",
    "lizardfs",
    "mfs",
    "moosefs",
    "mount-s3",
    "mountpoint-s3",
    "osxfs",
    "rclone",
    "s3fs",
    "s3ql",
    "seaweedfs",
    "smbnetfs",
    "sshfs",
    "vmhgfs-fuse",
];

/// The name of a file system, and whether other kernels write to it.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn classify(magic: u64, mount_type: Option<&str>) -> (String, bool) {
    let kind = KINDS.iter().find(|(number, _, _)| *number == magic);
    let name = match (mount_type, kind) {
        (Some(name), _) => name.to_owned(),
        (None, Some((_, name, _))) => (*name).to_owned(),
        (None, None) => format!("0x{magic:x}"),
    };
    let is_network = match kind {
        Some((FUSE, _, _)) => is_network_fuse(&name),
        Some((_, _, is_network)) => *is_network,
        None => false,
    };
    (name, is_network)
}

fn is_network_fuse(name: &str) -> bool {
    // A virtual machine's folder of its host has FUSE's number too, though not its type.
    let kind = name.strip_prefix("fuse.").unwrap_or(name);
    let kind = kind.trim_end_matches(|end: char| end.is_ascii_digit());
    name == "virtiofs"
        || NETWORK_FUSE
            .iter()
            .any(|known| known.trim_end_matches(|end: char| end.is_ascii_digit()) == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_other_machines_are_told_from_local_ones() {
        let cases = [
            (0x6969, Some("nfs4"), "nfs4", true),
            (0xfe53_4d42, None, "smb2", true),
            (0x0102_1997, Some("9p"), "9p", true),
            (0x0bd0_0bd0, None, "lustre", true),
            (0x7461_636f, None, "ocfs2", true),
            (FUSE, Some("fuse.sshfs"), "fuse.sshfs", true),
            (FUSE, Some("fuse.mount-s3"), "fuse.mount-s3", true),
            (FUSE, Some("fuse.blobfuse2"), "fuse.blobfuse2", true),
            (FUSE, Some("virtiofs"), "virtiofs", true),
            (FUSE, Some("fuseblk"), "fuseblk", false),
            (FUSE, Some("fuse.mergerfs"), "fuse.mergerfs", false),
            (FUSE, None, "fuse", false),
            (0xef53, Some("ext4"), "ext4", false),
            (0x9123_683e, None, "btrfs", false),
            (0x0102_1994, Some("tmpfs"), "tmpfs", false),
            (0x794c_7630, Some("overlay"), "overlay", false),
            (0x1234, None, "0x1234", false),
        ];
        for (magic, mount_type, name, is_network) in cases {
            assert_eq!(
                classify(magic, mount_type),
                (name.to_owned(), is_network),
                "{magic:x} {mount_type:?}"
            );
        }
    }

    #[test]
    fn a_mount_is_found_by_its_device() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                      30 22 0:52 / /mnt/with\\040space rw - fuse.sshfs me@there:/ rw\n";
        assert_eq!(mount_type(mounts, 0, 52), Some("fuse.sshfs"));
        assert_eq!(mount_type(mounts, 8, 1), Some("ext4"));
        assert_eq!(mount_type(mounts, 8, 11), None);
        assert_eq!(mount_type("not a mount", 8, 1), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn proc_is_local_and_what_does_not_exist_is_an_error() {
        let proc = file_system("/proc").unwrap();
        assert_eq!(proc.name, "proc");
        assert!(!proc.is_network);
        assert!(file_system("/nowhere/at/all").is_err());
    }
}
