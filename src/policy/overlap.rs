//! Whether two patterns can name the same path.
//!
//! Exact for literals, `*`, `**` and `?`; a part with `[…]` or `{…}` counts as any part, so the
//! answer errs towards "yes".

use crate::model::name::Pattern;

/// The first pair of patterns, one of each side, that can name the same path.
#[must_use]
pub fn first<'a>(left: &'a [Pattern], right: &'a [Pattern]) -> Option<(&'a Pattern, &'a Pattern)> {
    left.iter().flat_map(|a| right.iter().map(move |b| (a, b))).find(|(a, b)| meets(a, b))
}

/// Whether some path matches both.
#[must_use]
pub fn meets(a: &Pattern, b: &Pattern) -> bool {
    if roots_differ(a.as_str(), b.as_str()) {
        return false;
    }
    let parts = |p: &Pattern| p.as_str().split('/').filter(|s| !s.is_empty() && *s != ".").map(str::to_owned).collect();
    let (a, b): (Vec<String>, Vec<String>) = (parts(a), parts(b));
    paths_meet(&a, &b)
}

/// Whether they begin in different folders: most pairs do, and are told apart without more ado.
fn roots_differ(a: &str, b: &str) -> bool {
    let root = |text: &'_ str| -> Option<usize> {
        let end = text.find('/').unwrap_or(text.len());
        let plain = !text[..end].is_empty() && !text[..end].contains(['*', '?', '[', '{', '\\']) && &text[..end] != ".";
        plain.then_some(end)
    };
    matches!((root(a), root(b)), (Some(x), Some(y)) if a[..x] != b[..y])
}

/// Patterns name files; a pattern that names a folder also names what lies in it.
fn paths_meet(a: &[String], b: &[String]) -> bool {
    let wild = |part: &String| part == "**";
    // table[i][j]: whether what is left of `a` from i and of `b` from j can meet.
    table(a.len(), b.len(), |i, j, meet| match (a.get(i), b.get(j)) {
        (None, _) | (_, None) => true,
        (Some(x), _) if wild(x) => meet(i + 1, j) || meet(i, j + 1),
        (_, Some(y)) if wild(y) => meet(i, j + 1) || meet(i + 1, j),
        (Some(x), Some(y)) => parts_meet(x, y) && meet(i + 1, j + 1),
    })
}

fn parts_meet(x: &str, y: &str) -> bool {
    let vague = |s: &str| s.contains(['[', '{', '\\']);
    if vague(x) || vague(y) {
        return true;
    }
    let (x, y): (Vec<char>, Vec<char>) = (x.chars().collect(), y.chars().collect());
    table(x.len(), y.len(), |i, j, meet| match (x.get(i), y.get(j)) {
        (None, None) => true,
        (Some('*'), None) => meet(i + 1, j),
        (None, Some('*')) => meet(i, j + 1),
        (Some('*'), _) => meet(i + 1, j) || meet(i, j + 1),
        (_, Some('*')) => meet(i, j + 1) || meet(i + 1, j),
        (None, _) | (_, None) => false,
        (Some(a), Some(b)) => (a == b || *a == '?' || *b == '?') && meet(i + 1, j + 1),
    })
}

/// Fills a table from its far corner, so that each cell is worked out once, and answers for the
/// near one. Cells beyond the edge never meet.
fn table(rows: usize, columns: usize, cell: impl Fn(usize, usize, &dyn Fn(usize, usize) -> bool) -> bool) -> bool {
    let mut known = vec![vec![false; columns + 2]; rows + 2];
    for i in (0..=rows).rev() {
        for j in (0..=columns).rev() {
            let value = cell(i, j, &|i, j| known[i][j]);
            known[i][j] = value;
        }
    }
    known[0][0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &str, b: &str) -> bool {
        let (a, b) = (Pattern::new(a).expect(a), Pattern::new(b).expect(b));
        assert_eq!(meets(&a, &b), meets(&b, &a), "{a} and {b} disagree by order");
        meets(&a, &b)
    }

    #[test]
    fn patterns_that_share_a_path_meet() {
        for (a, b) in [
            ("src/**", "src/api/mod.rs"),
            ("src/api/**", "src/**/mod.rs"),
            ("**", "anything/at/all"),
            ("*.rs", "main.rs"),
            ("src/*/x.rs", "src/a?c/x.rs"),
            ("src", "src/main.rs"),
            ("src/[ab].rs", "src/c.rs"),
            ("a/**/z", "a/z"),
            ("./src/*.rs", "src/main.rs"),
            ("s?c/main.rs", "src/main.rs"),
        ] {
            assert!(check(a, b), "{a} and {b}");
        }
    }

    #[test]
    fn patterns_that_share_no_path_do_not() {
        for (a, b) in [
            ("src/**", "docs/**"),
            ("src/a.rs", "src/b.rs"),
            ("*.rs", "src/main.rs"),
            ("src/*.rs", "src/*.md"),
            ("a/**/z", "b/z"),
        ] {
            assert!(!check(a, b), "{a} and {b}");
        }
    }
}
