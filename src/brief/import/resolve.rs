//! From needs as they were written to keys, and the proof that nothing waits for itself.
//!
//! **Invariant:** what comes out has no cycle and no need without a task. Must not know: formats.

use std::collections::{BTreeMap, BTreeSet};

use super::{Draft, Imported, title_key};
use crate::brief::error::{Faults, Problem};
use crate::model::id::TaskId;
use crate::model::name::Slug;
use crate::model::text::{clean, nearest};

/// Columns of a title in a round.
const MAX_TITLE: usize = 40;

/// For so many unknown needs the nearest task is looked for: each look goes through the whole list.
const GUESSES: usize = 5;

/// Resolves the needs of a whole list.
pub(super) fn resolve(drafts: Vec<Draft>, faults: &mut Faults<'_>) -> Vec<Imported> {
    let names = Names::of(&drafts);
    let mut all: Vec<Imported> = Vec::with_capacity(drafts.len());
    let mut written = BTreeMap::new();
    for Draft { key, number, brief, done, line, lenient, left_out } in drafts {
        written.insert(key.clone(), as_written(&key, number, &brief.title));
        let (needs, needs_tasks, notes) = (Vec::new(), Vec::new(), Vec::new());
        let mut imported = Imported { key, brief, needs, needs_tasks, done, line, notes, left_out };
        for found in &imported.brief.front.needs {
            match names.find(found) {
                Some(Found::Here(key)) if !imported.needs.contains(&key) => imported.needs.push(key),
                Some(Found::Here(_)) => {}
                Some(Found::Task(task)) => imported.needs_tasks.push(task),
                None if lenient => imported.notes.push(format!("{found} is not in this list and is taken as done")),
                None => {
                    let nearest = if faults.errors.len() < GUESSES { names.nearest(found) } else { None };
                    faults.at(line, 1, Problem::UnknownNeed { found: found.clone(), nearest });
                }
            }
        }
        all.push(imported);
    }
    if faults.errors.is_empty() {
        refuse_cycle(&all, &written, faults);
    }
    all
}

/// A task of a list as the person knows it: by its number there, and by its title.
fn as_written(key: &str, number: Option<u32>, title: &str) -> String {
    let title = clean(title, MAX_TITLE);
    match number {
        Some(_) if key.starts_with('#') => format!("{key} ({title})"),
        Some(number) => format!("{number} ({title})"),
        None => format!("\"{title}\""),
    }
}

fn refuse_cycle(all: &[Imported], written: &BTreeMap<String, String>, faults: &mut Faults<'_>) {
    let edges = all.iter().map(|task| (task.key.as_str(), task.needs.iter().map(String::as_str).collect())).collect();
    let Some(path) = cycle(&edges) else { return };
    let line = all.iter().find(|task| task.key == path[0]).map_or(1, |task| task.line);
    faults.at(line, 1, Problem::Cycle { path: path.into_iter().filter_map(|key| written.get(key).cloned()).collect() });
}

/// A way round in a graph of needs, first and last the same; `None` if there is none. Names
/// without edges of their own need not be in the map.
#[must_use]
pub fn cycle<K: Ord + Clone>(edges: &BTreeMap<K, Vec<K>>) -> Option<Vec<K>> {
    let mut finished: BTreeSet<&K> = BTreeSet::new();
    for start in edges.keys() {
        // The way to the current place, and how many edges of each place were followed.
        let mut path: Vec<(&K, usize)> = vec![(start, 0)];
        let mut on_path: BTreeSet<&K> = BTreeSet::from([start]);
        if finished.contains(start) {
            continue;
        }
        while let Some((place, followed)) = path.last_mut() {
            let Some(next) = edges.get(place).and_then(|needs| needs.get(*followed)) else {
                finished.insert(place);
                on_path.remove(place);
                path.pop();
                continue;
            };
            *followed += 1;
            if on_path.contains(next) {
                let from = path.iter().position(|(place, _)| *place == next).expect("it is on the path");
                let round = path[from..].iter().map(|(place, _)| (*place).clone());
                return Some(round.chain([next.clone()]).collect());
            }
            if !finished.contains(next) {
                on_path.insert(next);
                path.push((next, 0));
            }
        }
    }
    None
}

/// What a need may be called.
struct Names {
    numbers: BTreeMap<u32, String>,
    titles: BTreeMap<String, Option<String>>,
    slugs: BTreeMap<String, Option<String>>,
}

enum Found {
    /// A task of this list.
    Here(String),
    /// A task that exists already.
    Task(TaskId),
}

impl Names {
    fn of(drafts: &[Draft]) -> Self {
        let mut names = Self { numbers: BTreeMap::new(), titles: BTreeMap::new(), slugs: BTreeMap::new() };
        for draft in drafts {
            names.numbers.extend(draft.number.map(|number| (number, draft.key.clone())));
            // A name that two share names neither.
            let add = |map: &mut BTreeMap<String, Option<String>>, name: String| {
                map.entry(name).and_modify(|key| *key = None).or_insert_with(|| Some(draft.key.clone()));
            };
            add(&mut names.titles, title_key(&draft.brief.title));
            add(&mut names.slugs, draft.brief.slug().to_string());
        }
        names
    }

    fn find(&self, written: &str) -> Option<Found> {
        if written.starts_with(['T', 't'])
            && let Ok(task) = written.parse()
        {
            return Some(Found::Task(task));
        }
        if let Ok(number) = written.strip_prefix('#').unwrap_or(written).parse::<u32>() {
            return self.numbers.get(&number).cloned().map(Found::Here);
        }
        let by_title = self.titles.get(&title_key(written)).cloned().flatten();
        // A title without a letter of a slug shares its slug with every other such title.
        let plain = written.chars().any(|c| c.is_ascii_alphanumeric());
        let by_slug = || self.slugs.get(Slug::from_title(written).as_str()).cloned().flatten().filter(|_| plain);
        by_title.or_else(by_slug).map(Found::Here)
    }

    fn nearest(&self, written: &str) -> Option<String> {
        let digits = written.strip_prefix('#').unwrap_or(written);
        if let Ok(number) = digits.parse::<u32>() {
            let near = self.numbers.keys().min_by_key(|known| known.abs_diff(number))?;
            return Some(near.to_string());
        }
        let slug = Slug::from_title(written);
        nearest(slug.as_str(), self.slugs.keys().map(String::as_str)).map(str::to_owned)
    }
}
