//! Exactly one supervisor for a state folder: of six started together one wins, and the losers say
//! who; when the winner is killed, the next one wins.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use crate::scene::{Scene, playing, trials};

/// What one of them came to.
enum Came {
    Up(Child),
    Refused(String),
}

fn start(scene: &Scene) -> Child {
    let mut command = scene.supervisor_command();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("a supervisor starts")
}

fn hear(mut child: Child) -> Came {
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("read");
    if line == "ready\n" {
        return Came::Up(child);
    }
    let mut said = String::new();
    child.stderr.take().expect("stderr").read_to_string(&mut said).expect("read");
    assert!(!child.wait().expect("wait").success(), "{said}");
    Came::Refused(said)
}

#[test]
fn of_six_one_wins_and_the_others_say_who() {
    let scene = Scene::new(&playing(&["exit=0"]));
    for _ in 0..trials(5) {
        let all: Vec<Child> = (0..6).map(|_| start(&scene)).collect();
        let (mut up, mut refused) = (Vec::new(), Vec::new());
        for child in all {
            match hear(child) {
                Came::Up(child) => up.push(child),
                Came::Refused(said) => refused.push(said),
            }
        }
        assert_eq!((up.len(), refused.len()), (1, 5), "{refused:?}");
        let mut winner = up.remove(0);
        for said in refused {
            assert!(said.contains(&format!("pid {}", winner.id())), "the winner is {}: {said}", winner.id());
        }
        assert_eq!(scene.client().welcome().process.pid, winner.id());
        winner.kill().expect("kill");
        winner.wait().expect("wait");
        let Came::Up(mut next) = hear(start(&scene)) else { panic!("the next one does not win") };
        assert_eq!(scene.client().welcome().process.pid, next.id());
        next.kill().expect("kill");
        next.wait().expect("wait");
    }
}
