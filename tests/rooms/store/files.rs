//! Fence, token, approvals and folders, used by many at once.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use standup::model::id::AttemptNo;
use standup::model::time::Wall;
use standup::os::locate::Dirs;
use standup::store::approvals::{Approval, Approvals};
use standup::store::layout::Layout;
use standup::store::token::Token;
use standup::store::{StoreError, fence};

/// Runs `work` on that many threads at the same moment.
fn at_once<T: Send>(n: u32, work: impl Fn(u32) -> T + Sync) -> Vec<T> {
    let gate = Barrier::new(n as usize);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..n)
            .map(|i| {
                let (gate, work) = (&gate, &work);
                scope.spawn(move || {
                    gate.wait();
                    work(i)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().expect("thread")).collect()
    })
}

fn dirs(root: &Path) -> Dirs {
    Dirs { config: root.join("config"), state: root.join("state"), data: root.join("data"), runtime: root.join("run") }
}

#[test]
fn a_fence_raised_by_many_stands_at_the_highest() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("T7");
    let stood = at_once(16, |i| {
        let no = AttemptNo::new(i + 1).expect("not 0");
        let stands = fence::raise(&path, no).expect("raise");
        assert!(stands >= no);
        stands
    });
    assert_eq!(stood.into_iter().max(), AttemptNo::new(16));
    assert_eq!(fence::read(&path).expect("read"), AttemptNo::new(16));
}

#[test]
fn a_token_made_by_many_is_one() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("user.token");
    let tokens = at_once(16, |_| Token::load_or_create(&path).expect("token"));
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(fs::read_to_string(&path).expect("file"), tokens[0].secret());
    assert_eq!(fs::read_dir(dir.path()).expect("folder").count(), 1, "no temporary file stays");
}

#[test]
fn approvals_given_at_once_are_all_kept() {
    let dir = tempfile::tempdir().expect("temp dir");
    let approvals = Approvals::at(&dir.path().join("approvals.json"));
    at_once(12, |i| {
        let approval = Approval { repo: format!("shop-{i}"), digest: "aa".into(), at: Wall(1), what: vec![] };
        approvals.approve(approval).expect("approve");
    });
    assert_eq!(approvals.list().expect("list").len(), 12);
}

#[test]
fn folders_are_private_and_made_once() {
    let dir = tempfile::tempdir().expect("temp dir");
    let layout = Layout::new(&dirs(dir.path()), "shop", "0a1b2c3d").expect("layout");
    for _ in 0..2 {
        layout.prepare().expect("prepare");
    }
    for folder in [layout.state_dir(), layout.runtime_dir(), &layout.hosts_dir(), &layout.slots_dir()] {
        assert_eq!(fs::metadata(folder).expect("meta").mode() & 0o777, 0o700, "{}", folder.display());
    }
    let probes = |folder: &Path| {
        fs::read_dir(folder)
            .expect("folder")
            .flatten()
            .filter(|e| e.file_name().to_string_lossy().starts_with('.'))
            .count()
    };
    assert_eq!(probes(layout.state_dir()) + probes(layout.runtime_dir()), 0, "no probe stays");
}

#[test]
fn a_folder_that_is_a_link_or_open_to_others_is_refused() {
    for plant in ["link", "open"] {
        let dir = tempfile::tempdir().expect("temp dir");
        let layout = Layout::new(&dirs(dir.path()), "shop", "0a1b2c3d").expect("layout");
        fs::create_dir_all(layout.runtime_dir().parent().expect("parent")).expect("mkdir");
        if plant == "link" {
            symlink(dir.path(), layout.runtime_dir()).expect("link");
        } else {
            fs::create_dir(layout.runtime_dir()).expect("mkdir");
            fs::set_permissions(layout.runtime_dir(), Permissions::from_mode(0o777)).expect("chmod");
        }
        let error = layout.prepare().expect_err(plant);
        assert!(matches!(error, StoreError::File(_)), "{plant}: {error:?}");
    }
}

#[test]
fn a_state_directory_in_the_way_of_a_file_is_named() {
    let dir = tempfile::tempdir().expect("temp dir");
    fs::write(dir.path().join("state"), "in the way").expect("write");
    let layout = Layout::new(&dirs(dir.path()), "shop", "0a1b2c3d").expect("layout");
    let error = layout.prepare().expect_err("no folder");
    assert!(error.to_string().contains("/state/shop-0a1b2c3d"), "{error}");
}
