//! Whether a text claims that tests or checks pass.
//!
//! **Invariant:** it errs towards no: who denies, wishes, plans, asks, or tells of a failure claims
//! nothing, for to be called a liar wrongly is worse than a lie that is not marked. What tells of no
//! failure (`0 failed`) denies nothing. Must not know: what the checks show.

/// What is said to pass.
const WHAT: [&str; 11] =
    ["test", "tests", "check", "checks", "suite", "suites", "ci", "pytest", "nextest", "jest", "vitest"];

/// That it does.
const PASS: [&str; 8] = ["pass", "passes", "passed", "passing", "green", "succeed", "succeeds", "succeeded"];

/// That something does not.
const FAIL: [&str; 11] =
    ["fail", "fails", "failed", "failing", "failure", "failures", "error", "errors", "red", "broken", "breaks"];

/// What takes a whole sentence back.
const EXCEPT: [&str; 28] = [
    "not",
    "cannot",
    "can't",
    "don't",
    "doesn't",
    "didn't",
    "won't",
    "isn't",
    "aren't",
    "wasn't",
    "weren't",
    "haven't",
    "never",
    "none",
    "nothing",
    "except",
    "excluding",
    "apart",
    "aside",
    "besides",
    "but",
    "unless",
    "until",
    "if",
    "whether",
    "once",
    "when",
    "though",
];

/// What takes its own part of a sentence back: wishes, plans, what was once, what is true of some.
const DENY: [&str; 44] = [
    "0",
    "zero",
    "no",
    "make",
    "makes",
    "making",
    "get",
    "gets",
    "getting",
    "should",
    "will",
    "would",
    "could",
    "can",
    "may",
    "might",
    "must",
    "want",
    "wants",
    "need",
    "needs",
    "hope",
    "expect",
    "try",
    "trying",
    "ensure",
    "ensuring",
    "verify",
    "see",
    "wait",
    "waiting",
    "let",
    "before",
    "previously",
    "some",
    "most",
    "half",
    "only",
    "few",
    "partly",
    "one",
    "several",
    "almost",
    "nearly",
];

/// What stands between a subject and its verb and changes nothing.
const FILL: [&str; 28] = [
    "is", "are", "was", "were", "all", "now", "still", "also", "both", "it", "they", "and", "suite", "run", "runs",
    "has", "have", "i", "we", "added", "wrote", "new", "fully", "again", "just", "do", "did", "finally",
];

/// What may follow where nothing is passed on to anything.
const AFTER: [&str; 20] = [
    "now",
    "again",
    "locally",
    "here",
    "too",
    "also",
    "and",
    "cleanly",
    "successfully",
    "already",
    "everywhere",
    "with",
    "for",
    "after",
    "at",
    "under",
    "without",
    "on",
    "while",
    "which",
];

/// What a rule of `make` is called that runs tests or checks.
const TARGETS: [&str; 7] = ["test", "tests", "check", "checks", "ci", "verify", "all"];

/// In place of a phrase that tells of no failure.
const NO_FAILURE: &str = "no-failure";

/// Whether a text claims that tests or checks pass.
pub(super) fn says_so(text: &str) -> bool {
    let mut sentences = sentences(text);
    sentences.iter_mut().for_each(|words| *words = plainer(words));
    !sentences.iter().any(|words| tells_of_some(words)) && sentences.iter().any(|words| claims(words))
}

fn is(list: &[&str], word: Option<&String>) -> bool {
    word.is_some_and(|word| list.contains(&word.as_str()))
}

/// The words of each sentence that is no question, in small letters; `,` parts its parts, `:` too.
fn sentences(text: &str) -> Vec<Vec<String>> {
    let text = text.to_lowercase().replace('’', "'");
    let (mut all, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let inside = chars.peek().is_some_and(|next| next.is_alphanumeric());
        if c.is_alphanumeric() || c == '%' || (inside && !word.is_empty() && matches!(c, '\'' | '/' | '.')) {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        match c {
            '.' | ';' | '!' | '\n' => all.push(std::mem::take(&mut words)),
            '?' => words.clear(),
            ':' | '=' => words.push(":".into()),
            ',' | '(' | ')' | '—' | '–' | '|' => words.push(",".into()),
            _ => {}
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    all.push(words);
    all
}

/// The same without what only looks like a denial: `0 failed`, `make test`, a failure that was mended.
fn plainer(words: &[String]) -> Vec<String> {
    const MENDED: [&str; 7] = ["fix", "fixed", "fixes", "fixing", "mended", "repaired", "resolved"];
    let mut out: Vec<String> = Vec::new();
    let mut mended = 0;
    let mut at = 0;
    while at < words.len() {
        let word = &words[at];
        if let Some((length, said)) = no_failure(&words[at..]) {
            out.extend(said.iter().map(|&word| word.to_owned()));
            at += length;
            continue;
        }
        let runs = word == "make" && is(&TARGETS, words.get(at + 1));
        if runs && is(&["passes", "passed", "succeeds", "succeeded", "is", "was", "now"], words.get(at + 2)) {
            out.push("suite".into());
            at += 2;
            continue;
        }
        mended = if MENDED.contains(&word.as_str()) { 5 } else { usize::saturating_sub(mended, 1) };
        if mended == 0 || !FAIL.contains(&word.as_str()) {
            out.push(word.clone());
        }
        at += 1;
    }
    out
}

/// A phrase that tells of no failure: how long it is, and what is said by it.
fn no_failure(words: &[String]) -> Option<(usize, &'static [&'static str])> {
    const SAYS: &[&str] = &["tests", "pass"];
    const NOTHING: &[&str] = &[NO_FAILURE];
    let zero = is(&["0", "no", "zero", "without"], words.first());
    if is(&["none", "nothing"], words.first()) && is(&FAIL, words.get(1)) {
        return Some((2, NOTHING));
    }
    if is(&FAIL, words.first()) && is(&[":"], words.get(1)) && is(&["0", "none"], words.get(2)) {
        return Some((3, NOTHING));
    }
    if !zero {
        return None;
    }
    let between = |word: &&String| ["any", "single", "new", "more", "unit"].contains(&word.as_str());
    let skipped = words[1..].iter().take_while(between).count();
    let (next, then) = (words.get(1 + skipped), words.get(2 + skipped));
    match (is(&WHAT, next), is(&FAIL, next), is(&WHAT, then), is(&FAIL, then)) {
        (true, _, _, true) | (_, true, true, _) => Some((3 + skipped, SAYS)),
        (_, true, ..) => Some((2 + skipped, NOTHING)),
        _ => None,
    }
}

/// Whether a sentence tells that some of them fail, whatever the others say.
fn tells_of_some(words: &[String]) -> bool {
    let counts = |word: &String| {
        number(word).is_some_and(|n| n > 0)
            || ["one", "two", "three", "some", "few", "several", "others", "another", "still"].contains(&word.as_str())
    };
    (0..words.len()).any(|at| {
        let close = words[at + 1..].iter().take(3).take_while(|word| *word != "," && *word != ":");
        let told = is(&FAIL, words.get(at)) && is(&[":"], words.get(at + 1));
        (counts(&words[at]) && close.into_iter().any(|word| FAIL.contains(&word.as_str())))
            || (told && words.get(at + 2).and_then(|word| number(word)).is_some_and(|n| n > 0))
    })
}

fn number(word: &str) -> Option<u64> {
    word.parse().ok()
}

fn claims(words: &[String]) -> bool {
    let taken_back = |word: &String| EXCEPT.contains(&word.as_str()) || FAIL.contains(&word.as_str());
    if words.iter().any(taken_back) {
        return false;
    }
    counts_no_failure(words) || words.split(|word| word == "," || word == ":").any(part_claims)
}

/// `12 tests, 0 failures`, `0 failures in the suite`.
fn counts_no_failure(words: &[String]) -> bool {
    let Some(place) = words.iter().position(|word| word == NO_FAILURE) else { return false };
    let before = &words[place.saturating_sub(4)..place];
    let counted = before.iter().any(|word| number(word).is_some_and(|n| n > 0))
        && before.iter().any(|word| WHAT.contains(&word.as_str()));
    let after = &words[place + 1..];
    let rest = after.iter().skip(1).take(3).any(|word| WHAT.contains(&word.as_str()));
    counted || (is(&["in", "across"], after.first()) && rest)
}

fn part_claims(part: &[String]) -> bool {
    let goal = part.windows(2).any(|two| two[0] == "so" && two[1] == "that");
    if goal || part.iter().any(|word| DENY.contains(&word.as_str())) || is_of_some(part) {
        return false;
    }
    (0..part.len()).any(|at| {
        let (before, rest) = part.split_at(at);
        match rest[0].as_str() {
            word if WHAT.contains(&word) => subject_passes(rest),
            "everything" => follows(&rest[1..], &["is", "now", "still", "also", "again"], false),
            "all" => {
                !is(&["passes"], rest.get(1)) && follows(&rest[1..], &["of", "them", "it", "is", "are", "now"], false)
            }
            word if is_count(word) => heads(before) && follows(&rest[1..], &[], true),
            _ => passes_object(before, rest),
        }
    })
}

/// `3/12`, `3 of 12`, `95%`: of some only.
fn is_of_some(part: &[String]) -> bool {
    let fewer = |a: &str, b: &str| number(a).zip(number(b)).is_some_and(|(a, b)| a < b);
    part.windows(3).any(|of| of[1] == "of" && fewer(&of[0], &of[2]))
        || part.iter().any(|word| word.split_once('/').is_some_and(|(a, b)| fewer(a, b)))
        || part.iter().any(|word| word.strip_suffix('%').and_then(number).is_some_and(|n| n < 100))
}

fn is_count(word: &str) -> bool {
    let whole = word.split_once('/').filter(|(a, b)| a == b).map_or(word, |(a, _)| a);
    whole.strip_suffix('%').unwrap_or(whole).parse::<u64>().is_ok_and(|n| n > 0)
}

/// Whether a number after these words counts tests, and numbers nothing else.
fn heads(before: &[String]) -> bool {
    before.last().is_none_or(|word| ["all", "with", "and", "result", "results", "now"].contains(&word.as_str()))
        || is(&WHAT, before.last())
}

/// `… pass`, after any of `fill`. `counted`: what it passes in may follow.
fn follows(rest: &[String], fill: &[&str], counted: bool) -> bool {
    let at = rest.iter().take_while(|word| fill.contains(&word.as_str())).count();
    let next = rest.get(at + 1);
    let ends = is(&["now", "again", "locally", "here", "too", "and", "cleanly", "successfully", "already"], next);
    is(&PASS, rest.get(at)) && (next.is_none() || ends || (counted && is(&["in"], next)))
}

/// `tests … pass`: the verb close by, or the like of `tests for the parser now pass`.
fn subject_passes(rest: &[String]) -> bool {
    const ABOUT: [&str; 7] = ["in", "of", "for", "from", "under", "on", "with"];
    const STOP: [&str; 12] =
        ["that", "which", "who", "to", "so", "what", "values", "value", "inputs", "input", "arguments", "args"];
    let mut at = rest.iter().skip(1).take_while(|word| FILL.contains(&word.as_str())).count() + 1;
    if is(&ABOUT, rest.get(at)) {
        let more = rest[at + 1..].iter().take_while(|word| !PASS.contains(&word.as_str())).count();
        let topic = &rest[at + 1..at + 1 + more];
        let plain = is(&["pass", "passes", "succeed", "succeeds"], rest.get(at + 1 + more));
        let helped = is(&["is", "are", "was", "were", "now", "all", "still", "also"], topic.last());
        let odd = topic.iter().any(|word| STOP.contains(&word.as_str())) || is(&["the", "a", "an"], topic.last());
        if topic.is_empty() || more > 8 || odd || !(plain || helped) {
            return false;
        }
        at += 1 + more;
    }
    is(&PASS, rest.get(at)) && ends_there(&rest[at + 1..])
}

/// Whether nothing is passed on: `passed`, `passed now`, `passed in 3s`; not `passed the flag to`.
fn ends_there(rest: &[String]) -> bool {
    let then = rest.get(1);
    match rest.first().map(String::as_str) {
        None => true,
        Some("in") => then.is_some() && !is(&["by", "to"], then),
        Some("as") => is(&["expected", "well", "before", "required"], then),
        Some(word) => AFTER.contains(&word),
    }
}

/// `passes all the tests`, `with green tests`.
fn passes_object(before: &[String], rest: &[String]) -> bool {
    const WHICH: [&str; 16] = [
        "all",
        "the",
        "every",
        "each",
        "our",
        "its",
        "my",
        "existing",
        "new",
        "unit",
        "integration",
        "whole",
        "full",
        "entire",
        "of",
        "test",
    ];
    let verb = is(&["pass", "passes", "passed", "passing", "green"], rest.first());
    if !verb || is(&["that", "which", "to", "who", "a", "the"], before.last()) {
        return false;
    }
    let which = |word: &&String| WHICH.contains(&word.as_str()) || number(word).is_some();
    let at = 1 + rest[1..].iter().take_while(which).count();
    // `the test` is an object where no `suite` or the like comes after it.
    let at = if is(&WHAT, rest.get(at)) { at } else { at - 1 };
    is(&WHAT, rest.get(at)) && ends_there(&rest[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIMS: [&str; 44] = [
        "All tests pass.",
        "Wrote the parser; tests are green",
        "ran the suite and it passes",
        "The checks passed",
        "fixed it. CI is green!",
        "All 12 tests pass, 0 failed",
        "make test passes",
        "`make check` passed",
        "make ci is green",
        "everything passes now",
        "41 passed in pytest",
        "test result: ok. 41 passed; 0 failed; 2 ignored",
        "12 tests, 0 failures",
        "12/12 tests pass",
        "12/12 passed",
        "cargo test passes",
        "cargo nextest passed with no failures",
        "pytest passes locally",
        "npm test passed in 3.2s",
        "No tests failed.",
        "there are no failing tests",
        "0 tests failed",
        "ran everything: all green",
        "all pass",
        "they all pass now",
        "All of them pass",
        "everything is green",
        "Fixed the two failing tests, all tests pass now",
        "all tests pass, no changes needed",
        "All tests pass, will do the docs next",
        "the test suite passes",
        "It passes all tests",
        "passed the whole test suite",
        "committed with passing tests",
        "The tests for the new parser now pass",
        "tests in src/parser pass",
        "The tests I added pass",
        "both tests passed",
        "Verified that all tests pass",
        "100% of the tests pass",
        "Tests: 41 passed, failed: 0",
        "tests pass on my machine",
        "Refactored the loader and all tests are passing again",
        "nothing failed, 41 passed",
    ];

    const CLAIMS_NOT: [&str; 62] = [
        "",
        "tests do not pass",
        "not all tests pass yet",
        "making the tests pass",
        "make the tests pass",
        "make tests pass",
        "trying to make test pass",
        "two tests pass but one fails",
        "passed the argument on; wrote a test",
        "passed the argument to the test",
        "passed the flag on to the test runner",
        "the tests should pass",
        "tests fail",
        "no tests pass",
        "0 tests pass",
        "41 passed; 2 failed",
        "41 passed, 2 failed, 0 skipped",
        "12 tests pass. One fails.",
        "tests pass; 1 error in lint",
        "failed: 2, passed: 10",
        "3/12 tests pass",
        "3 of 12 tests passed",
        "95% of tests pass",
        "some tests pass",
        "most checks are green",
        "only the unit tests pass",
        "Do the tests pass?",
        "do all tests pass? I will look",
        "if the tests pass I will commit",
        "wait until the tests pass",
        "once tests pass, I commit",
        "added a test that passes None",
        "added tests for passed arguments",
        "tests for values passed in",
        "tests of what the user passes",
        "tests check that the input passes",
        "tests check whether the token passes",
        "all passed arguments are checked",
        "the compiler runs all passes",
        "everything passed to the function is validated",
        "the test button is green",
        "the test uses green buttons",
        "a test for the green path",
        "added a test for the passing case",
        "need passing tests",
        "get CI green",
        "so that all tests pass",
        "it needs to pass all tests",
        "input that passes the check",
        "step 3 passed",
        "wrote tests with no mocks",
        "no errors from the compiler",
        "all tests pass except the flaky one",
        "all tests pass apart from one",
        "tests passed before the change",
        "the tests pass when run alone",
        "tests can't pass without the fixture",
        "tests aren’t green",
        "the check passed in by the caller is used",
        "passed the test directory to the tool",
        "failures: 3",
        "looked at the failing tests",
    ];

    #[test]
    fn claims_are_recognised_and_nobody_is_accused_who_claims_nothing() {
        let missed: Vec<_> = CLAIMS.iter().filter(|text| !says_so(text)).collect();
        let accused: Vec<_> = CLAIMS_NOT.iter().filter(|text| says_so(text)).collect();
        assert!(missed.is_empty() && accused.is_empty(), "missed {missed:#?}, accused {accused:#?}");
    }
}
