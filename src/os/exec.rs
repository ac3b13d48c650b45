//! What `exec` does with a file, and why it refuses one.
//!
//! **Invariant:** a file that the kernel does not run is not run: the C library's `execvp` hands
//! such a file to `/bin/sh`, which nobody has approved to read it.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The longest `#!` line that is read; the kernel's own bound is 256 bytes.
const HEAD: usize = 256;

/// A program with its arguments and its whole environment, laid out so that a child can become it
/// without allocating.
#[derive(Debug)]
pub struct Image {
    program: CString,
    /// Addresses of strings in `_owned`, closed by a zero.
    args: Vec<usize>,
    env: Vec<usize>,
    _owned: Vec<CString>,
}

impl Image {
    /// Lays it out. `args` begin after the program's own name.
    ///
    /// # Errors
    /// A zero byte in any of them.
    pub fn new<'a>(
        program: &Path,
        args: impl Iterator<Item = &'a OsStr>,
        env: impl Iterator<Item = (&'a OsStr, &'a OsStr)>,
    ) -> io::Result<Self> {
        let program = CString::new(program.as_os_str().as_bytes())?;
        let mut owned = vec![program.clone()];
        for arg in args {
            owned.push(CString::new(arg.as_bytes())?);
        }
        let first = owned.len();
        for (name, value) in env {
            owned.push(CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())?);
        }
        // The strings lie on the heap: moving their owners does not move them.
        let addresses = |of: &[CString]| of.iter().map(|text| text.as_ptr().addr()).chain([0]).collect();
        Ok(Self { program, args: addresses(&owned[..first]), env: addresses(&owned[first..]), _owned: owned })
    }

    /// Becomes it; returns only what went wrong. May be called between fork and exec.
    #[must_use]
    pub fn exec(&self) -> io::Error {
        // SAFETY: both lists hold addresses of strings that `_owned` keeps, and end with a zero.
        unsafe { libc::execve(self.program.as_ptr(), self.args.as_ptr().cast(), self.env.as_ptr().cast()) };
        io::Error::last_os_error()
    }
}

/// An error of `exec` in `cwd` in words, where the number alone misleads: what is missing is often
/// not the program but what is to run it.
#[must_use]
pub fn explained(program: &Path, cwd: Option<&Path>, error: io::Error) -> io::Error {
    let head = || {
        let mut head = Vec::new();
        let read = File::open(program).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
        read.map(|_| head).unwrap_or_default()
    };
    let why = match error.raw_os_error() {
        Some(libc::ENOEXEC) => match head() {
            head if head.is_empty() => "the file is empty".to_owned(),
            head if is_binary(&head) => "the file is of another kind of machine, or damaged".to_owned(),
            _ => "the file has no #! line that names its interpreter".to_owned(),
        },
        Some(libc::ENOENT) if cwd.is_some_and(|dir| !dir.exists()) => {
            format!("the folder {} does not exist", cwd.unwrap_or(program).display())
        }
        Some(libc::ENOENT) if program.exists() => match interpreter(&head()) {
            Some(interpreter) if interpreter.exists() => return error,
            Some(interpreter) => format!("its interpreter {} does not exist", interpreter.display()),
            None => "the loader that it needs does not exist (it is built for another system)".to_owned(),
        },
        Some(libc::EACCES) if program.exists() => match interpreter(&head()) {
            Some(interpreter) => format!("it, or its interpreter {}, may not be executed", interpreter.display()),
            None => return error,
        },
        _ => return error,
    };
    io::Error::new(error.kind(), why)
}

fn is_binary(head: &[u8]) -> bool {
    head.starts_with(b"\x7fELF") || head.iter().take(64).any(|&byte| byte == 0)
}

/// What a `#!` line names.
fn interpreter(head: &[u8]) -> Option<PathBuf> {
    let line = head.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?.trim_ascii();
    let path = line.split(|byte| byte.is_ascii_whitespace()).next().filter(|path| !path.is_empty())?;
    Some(PathBuf::from(OsStr::from_bytes(path)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::run::{Run, RunError};
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("agent");
        std::fs::write(&path, bytes).expect("write");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("chmod");
        // Both ways in which programs are started.
        let image = Image::new(&path, std::iter::empty(), std::iter::empty()).expect("no zero byte");
        let direct = explained(&path, None, image.exec()).to_string();
        match Run::new(&path).env("A", "b").output() {
            Err(RunError::Spawn { source, .. }) => assert_eq!(source.to_string(), direct),
            other => panic!("it ran: {other:?}"),
        }
        direct
    }

    #[test]
    fn a_file_that_is_no_program_is_not_given_to_a_shell() {
        assert_eq!(refused(b"touch ran\n"), "the file has no #! line that names its interpreter");
        assert_eq!(refused(b""), "the file is empty");
        let mut foreign = std::fs::read("/bin/sh").expect("a program");
        // Field e_machine of the header: none that there is.
        foreign[18..20].copy_from_slice(&[0xfe, 0xca]);
        assert_eq!(refused(&foreign[..4096]), "the file is of another kind of machine, or damaged");
    }

    #[test]
    fn a_missing_interpreter_is_named_and_not_the_script() {
        assert_eq!(refused(b"#! /none/python3 -u\nprint()\n"), "its interpreter /none/python3 does not exist");
        let missing = explained(Path::new("/none/tool"), None, io::Error::from_raw_os_error(libc::ENOENT));
        assert_eq!(missing.raw_os_error(), Some(libc::ENOENT), "that is what it says");
        match Run::new("/bin/sh").cwd(Path::new("/none")).output() {
            Err(RunError::Spawn { source, .. }) => assert_eq!(source.to_string(), "the folder /none does not exist"),
            other => panic!("it ran: {other:?}"),
        }
    }
}
