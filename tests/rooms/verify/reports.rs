//! Sample outputs of real tools (`tests/reports/*.out`) and what is read from them (`*.golden`).
//! `SNAPSHOTS=overwrite` writes the expectations anew; read the difference before you keep it.

use std::fmt::Write as _;
use std::path::Path;

use standup::model::name::RepoPath;
use standup::model::settings::ReportFormat;
use standup::report::{Parser, Report};

fn format_of(sample: &str) -> ReportFormat {
    match sample.split('-').next().expect("a first part") {
        "libtest" => ReportFormat::Libtest,
        "nextest" => ReportFormat::Nextest,
        "pytest" => ReportFormat::Pytest,
        "go" => ReportFormat::Go,
        "jest" => ReportFormat::Jest,
        "tap" => ReportFormat::Tap,
        "junit" => ReportFormat::Junit(RepoPath::new("junit.xml").expect("a path")),
        other => panic!("{other} is no format"),
    }
}

fn read(format: &ReportFormat, bytes: &[u8], chunk: usize) -> Report {
    let mut parser = Parser::new(format);
    bytes.chunks(chunk).for_each(|chunk| parser.bytes(chunk));
    parser.finish("/repo")
}

fn render(report: &Report) -> String {
    let mut out = String::new();
    match report.counts {
        Some(c) => {
            let _ = writeln!(out, "{} tests: {} passed, {} failed, {} skipped", c.total, c.passed, c.failed, c.skipped);
        }
        None => out.push_str("no report\n"),
    }
    let _ = writeln!(out, "{}", if report.complete { "complete" } else { "cut off" });
    if let Some(what) = &report.contradiction {
        let _ = writeln!(out, "the report {what}");
    }
    for failure in &report.failures {
        let _ = writeln!(out, "\n* {}", failure.test);
        failure.message.lines().for_each(|line| out.push_str(&format!("  | {line}\n")));
    }
    out
}

#[test]
fn samples_of_real_tools_are_read_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports");
    let mut samples: Vec<String> = std::fs::read_dir(&folder)
        .expect("samples")
        .filter_map(|entry| {
            entry.expect("entry").file_name().into_string().expect("name").strip_suffix(".out").map(String::from)
        })
        .collect();
    samples.sort();
    assert!(samples.len() > 40, "{samples:?}");
    let assert = snapbox::Assert::new().action_env("SNAPSHOTS");
    for sample in samples {
        let bytes = std::fs::read(folder.join(format!("{sample}.out"))).expect("sample");
        let format = format_of(&sample);
        let whole = read(&format, &bytes, usize::MAX);
        assert_eq!(whole, read(&format, &bytes, 7), "{sample}: chunks must not matter");
        let golden =
            snapbox::Data::read_from(&folder.join(format!("{sample}.golden")), Some(snapbox::data::DataFormat::Text));
        assert.eq(render(&whole), golden.raw());
    }
}
