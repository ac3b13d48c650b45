//! Tokens: who knows one is who it was given to.
//!
//! **Invariant:** a token has 256 random bits, is compared in constant time, and never shows in
//! debug output. The user's lies in a file that only the user can read.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::os::file::{self, FileError};

use super::StoreError;
use super::error::io;

/// Random bytes in a token.
const BYTES: usize = 32;

/// A secret of 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one, from the kernel's random numbers.
    ///
    /// # Errors
    /// [`StoreError::File`] where there are none.
    pub fn random() -> Result<Self, StoreError> {
        let source = Path::new("/dev/urandom");
        let mut bytes = [0; BYTES];
        let mut file = std::fs::File::open(source).map_err(|e| io("read", source, e))?;
        file.read_exact(&mut bytes).map_err(|e| io("read", source, e))?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Reads the token at `path`, and makes it first where there is none. Of several processes
    /// that do so at once, all get the same.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where the file holds no token, [`StoreError::File`] where others
    /// could have read or written it, [`StoreError::Full`], [`StoreError::ReadOnly`].
    pub fn load_or_create(path: &Path) -> Result<Self, StoreError> {
        match Self::load(path) {
            Err(StoreError::Absent { .. }) => {}
            other => return other,
        }
        let token = Self::random()?;
        let dir = path.parent().unwrap_or(Path::new("."));
        let mut temp = tempfile::Builder::new()
            .prefix(".token-")
            .permissions(std::fs::Permissions::from_mode(0o600))
            .tempfile_in(dir)
            .map_err(|e| io("write", path, e))?;
        temp.write_all(token.0.as_bytes()).map_err(|e| io("write", path, e))?;
        temp.as_file().sync_all().map_err(|e| io("write", path, e))?;
        match temp.persist_noclobber(path) {
            Ok(_) => {
                file::sync_dir(dir)?;
                Ok(token)
            }
            Err(e) if e.error.kind() == std::io::ErrorKind::AlreadyExists => Self::load(path),
            Err(e) => Err(io("write", path, e.error)),
        }
    }

    /// Reads the token at `path`.
    ///
    /// # Errors
    /// [`StoreError::Absent`] where there is none, else as [`Token::load_or_create`].
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let bytes = match file::read_owned(path, 2 * BYTES as u64 + 2) {
            Ok(bytes) => bytes,
            Err(e) if e.is_absent() => return Err(StoreError::Absent { path: path.to_owned() }),
            Err(e) => return Err(e.into()),
        };
        let mode = std::fs::metadata(path).map_err(|e| io("read", path, e))?.mode();
        if mode & 0o077 != 0 {
            let why = format!("may be read by others (mode {:o})", mode & 0o777);
            return Err(FileError::Unsafe { path: path.to_owned(), why }.into());
        }
        let text = String::from_utf8(bytes).unwrap_or_default();
        Self::parse(text.trim_ascii_end())
            .ok_or_else(|| StoreError::Damaged { path: path.to_owned(), why: "it holds no token".to_owned() })
    }

    /// A token from its text; `None` where the text is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == 2 * BYTES && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| Self(text.to_owned()))
    }

    /// The text, to hand to who it is for.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this token. Takes the same time wherever they differ.
    #[must_use]
    pub fn matches(&self, given: &str) -> bool {
        same(self.0.as_bytes(), given.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Compares without stopping at the first difference. The lengths may be learned.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let differing = a.iter().zip(b).fold(0, |bits, (x, y)| bits | std::hint::black_box(x ^ y));
    std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_only_its_own_text_matches() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("user.token");
        assert!(matches!(Token::load(&path), Err(StoreError::Absent { .. })));
        let token = Token::load_or_create(&path).expect("make");
        assert_eq!(Token::load_or_create(&path).expect("read"), token);
        assert_eq!(std::fs::metadata(&path).expect("meta").mode() & 0o777, 0o600);
        assert!(token.matches(token.secret()));
        let other = Token::random().expect("random");
        for text in [other.secret(), "", &token.secret()[1..], &format!("{}0", token.secret())] {
            assert!(!token.matches(text));
        }
        assert!(!format!("{token:?}").contains(token.secret()));
    }

    #[test]
    fn a_token_that_others_could_read_is_refused() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("user.token");
        Token::load_or_create(&path).expect("make");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("chmod");
        let error = Token::load_or_create(&path).expect_err("refused");
        assert!(error.to_string().contains("may be read by others (mode 640)"), "{error}");
    }

    #[test]
    fn a_file_without_a_token_is_not_replaced() {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("user.token");
        for text in ["", "secret", &"x".repeat(64)] {
            file::write_atomic(&path, text.as_bytes(), 0o600).expect("write");
            assert!(matches!(Token::load_or_create(&path), Err(StoreError::Damaged { .. })), "{text:?}");
            assert_eq!(std::fs::read_to_string(&path).expect("kept"), text);
        }
    }
}
