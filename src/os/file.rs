//! Files: atomic replacement, bounded reads of untrusted paths, private directories.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a file could not be read or written safely.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The path is a directory, FIFO, device or socket.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// The file exceeds the caller's bound.
    #[error("{} has {size} bytes; at most {max} are read", path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// Bytes in the file.
        size: u64,
        /// The bound in bytes.
        max: u64,
    },
    /// Somebody else may write it, or owns it.
    #[error("{} {why}", path.display())]
    Unsafe {
        /// The path.
        path: PathBuf,
        /// What is wrong, as the end of a sentence.
        why: String,
    },
    /// The operating system said no.
    #[error("cannot {verb} {}", path.display())]
    Io {
        /// `read`, `write`, `create` …
        verb: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl FileError {
    /// Wraps an I/O error with what was tried on which path.
    pub fn io(verb: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { verb, path: path.to_owned(), source }
    }

    /// Whether the file simply is not there.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// A path without links, as far as it exists; what is not there yet follows as it is written.
#[must_use]
pub fn real(path: &Path) -> PathBuf {
    for ancestor in path.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
        if let (Ok(found), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return if rest.as_os_str().is_empty() { found } else { found.join(rest) };
        }
    }
    path.to_owned()
}

/// Reads a regular file of at most `max` bytes. Never blocks on a FIFO and never follows into a
/// device: the file is opened without waiting and judged before a byte is read.
///
/// # Errors
/// [`FileError`], with the path.
pub fn read_bounded(path: &Path, max: u64) -> Result<Vec<u8>, FileError> {
    let (file, size) = open_regular(path)?;
    if size > max {
        return Err(FileError::TooLarge { path: path.to_owned(), size, max });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    let read = file.take(max + 1).read_to_end(&mut bytes).map_err(|e| FileError::io("read", path, e))?;
    if read as u64 > max {
        return Err(FileError::TooLarge { path: path.to_owned(), size: read as u64, max });
    }
    Ok(bytes)
}

/// A piece of a file that grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The bytes, at most as many as were asked for; none where the file ends before them.
    pub bytes: Vec<u8>,
    /// How long the file is.
    pub len: u64,
    /// Which file it is: another one of the same name has another number.
    pub number: u64,
}

/// Reads at most `max` bytes of a regular file from an offset on, as carefully as [`read_bounded`].
///
/// # Errors
/// [`FileError`], with the path.
pub fn read_from(path: &Path, offset: u64, max: u64) -> Result<Piece, FileError> {
    let (mut file, len) = open_regular(path)?;
    let wrong = |e| FileError::io("read", path, e);
    let number = file.metadata().map_err(wrong)?.ino();
    let mut bytes = Vec::new();
    if offset < len {
        file.seek(SeekFrom::Start(offset)).map_err(wrong)?;
        file.take(max).read_to_end(&mut bytes).map_err(wrong)?;
    }
    Ok(Piece { bytes, len, number })
}

/// Like [`read_bounded`], and refuses a file that another user owns or may write. For files that
/// hold commands. Files of root are trusted.
///
/// # Errors
/// [`FileError`], with the path.
pub fn read_owned(path: &Path, max: u64) -> Result<Vec<u8>, FileError> {
    let (file, _) = open_regular(path)?;
    let meta = file.metadata().map_err(|e| FileError::io("read", path, e))?;
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me && meta.uid() != 0 {
        let why = format!("is owned by uid {}, not by you (uid {me})", meta.uid());
        return Err(FileError::Unsafe { path: path.to_owned(), why });
    }
    if meta.mode() & 0o022 != 0 {
        let why = format!("may be written by others (mode {:o})", meta.mode() & 0o777);
        return Err(FileError::Unsafe { path: path.to_owned(), why });
    }
    read_bounded(path, max)
}

fn open_regular(path: &Path) -> Result<(File, u64), FileError> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(|e| FileError::io("read", path, e))?;
    let meta = file.metadata().map_err(|e| FileError::io("read", path, e))?;
    if !meta.is_file() {
        return Err(FileError::NotRegular { path: path.to_owned() });
    }
    Ok((file, meta.len()))
}

/// Replaces `path` as a whole: temporary file beside it, fsync, rename, fsync of the folder.
/// Readers see the old content or the new, never a part.
///
/// # Errors
/// [`FileError::Io`]; the old file is then untouched.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temp = tempfile::Builder::new()
        .prefix(".tmp-")
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(dir)
        .map_err(|e| FileError::io("write", path, e))?;
    temp.write_all(bytes).map_err(|e| FileError::io("write", path, e))?;
    temp.as_file().sync_all().map_err(|e| FileError::io("write", path, e))?;
    temp.persist(path).map_err(|e| FileError::io("write", path, e.error))?;
    sync_dir(dir)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// [`FileError::Io`].
pub fn sync_dir(dir: &Path) -> Result<(), FileError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| FileError::io("write", dir, e))
}

/// Makes `dir` and its parents, `dir` itself with mode 0700.
///
/// # Errors
/// [`FileError::Io`].
pub fn private_dir(dir: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| FileError::io("create", dir, e))
}

/// Like [`private_dir`], and refuses an existing one that is a link, belongs to somebody else, or
/// lets others in. For folders under a place that all users share, such as `/tmp`.
///
/// # Errors
/// [`FileError::Unsafe`] or [`FileError::Io`].
pub fn private_dir_checked(dir: &Path) -> Result<(), FileError> {
    private_dir(dir)?;
    let meta = fs::symlink_metadata(dir).map_err(|e| FileError::io("read", dir, e))?;
    let me = rustix::process::geteuid().as_raw();
    let bad = |why: String| Err(FileError::Unsafe { path: dir.to_owned(), why });
    if !meta.is_dir() {
        return bad("is not a directory".into());
    }
    if meta.uid() != me {
        return bad(format!("is owned by uid {}, not by you (uid {me})", meta.uid()));
    }
    if meta.mode() & 0o077 != 0 {
        return bad(format!("lets other users in (mode {:o}); it must be 0700", meta.mode() & 0o777));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_replaces_the_whole_file() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("f");
        write_atomic(&path, b"one", 0o600).expect("first");
        write_atomic(&path, b"two", 0o600).expect("second");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        assert_eq!(fs::metadata(&path).expect("meta").mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("dir").count(), 1);
    }

    #[test]
    fn a_path_is_followed_as_far_as_it_goes() {
        let dir = tempfile::tempdir().expect("temp dir");
        let root = dir.path().canonicalize().expect("a path");
        fs::create_dir(root.join("there")).expect("mkdir");
        std::os::unix::fs::symlink("there", root.join("link")).expect("link");
        assert_eq!(real(&root.join("link")), root.join("there"));
        assert_eq!(real(&root.join("link/not/yet")), root.join("there/not/yet"));
        assert_eq!(real(Path::new("nowhere/at/all")), Path::new("nowhere/at/all"));
    }

    #[test]
    fn a_directory_is_not_read() {
        let dir = tempfile::tempdir().expect("temp dir");
        assert!(matches!(read_bounded(dir.path(), 10), Err(FileError::NotRegular { .. })));
    }

    #[test]
    fn a_file_over_the_bound_is_refused() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("f");
        fs::write(&path, b"12345").expect("write");
        assert!(matches!(read_bounded(&path, 4), Err(FileError::TooLarge { size: 5, max: 4, .. })));
        assert_eq!(read_bounded(&path, 5).expect("fits"), b"12345");
    }

    #[test]
    fn a_file_is_read_piece_by_piece_and_another_of_its_name_is_known_as_such() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("f");
        fs::write(&path, b"12345").expect("write");
        let piece = |from, max| read_from(&path, from, max).expect("a piece");
        assert_eq!((piece(0, 2).bytes, piece(2, 9).bytes), (b"12".to_vec(), b"345".to_vec()));
        assert_eq!((piece(5, 9).bytes, piece(9, 9).len), (Vec::new(), 5));
        let before = piece(0, 1).number;
        write_atomic(&path, b"12345", 0o600).expect("replaced");
        assert_ne!(piece(0, 1).number, before);
        assert!(matches!(read_from(dir.path(), 0, 1), Err(FileError::NotRegular { .. })));
    }

    #[test]
    fn a_file_that_others_may_write_is_not_trusted() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("f");
        fs::write(&path, b"x").expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("chmod");
        let error = read_owned(&path, 10).expect_err("unsafe");
        assert!(error.to_string().contains("may be written by others (mode 666)"), "{error}");
    }

    #[test]
    fn a_folder_open_to_others_is_refused() {
        let dir = tempfile::tempdir().expect("temp dir");
        let inner = dir.path().join("s");
        fs::create_dir(&inner).expect("mkdir");
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o777)).expect("chmod");
        assert!(matches!(private_dir_checked(&inner), Err(FileError::Unsafe { .. })));
    }
}
