//! Settings written back as `agents.toml`, each value with where it came from.
//!
//! **Invariant:** what is written here reads as the same settings. Must not know: files.

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

use super::leaf::{Choice, report_text};
use crate::model::settings::{AgentSettings, CheckSettings, Limit, Route, Settings};

/// A document in the order of the documentation. `origin` names where the value of a key came from.
pub(super) fn document(settings: &Settings, origin: &dyn Fn(&str) -> Option<String>) -> DocumentMut {
    let mut page = Page { document: DocumentMut::new(), origin };
    page.put("", "schema", 1);
    page.put_some("", "base", settings.base.clone());
    page.put_some("", "agent", settings.agent.as_ref().map(ToString::to_string));
    worktrees(&mut page, settings);
    wip_and_check_in(&mut page, settings);
    limits(&mut page, settings);
    verify(&mut page, settings);
    page.put("boundaries", "off_limits", array(settings.off_limits.iter().map(|p| p.as_str())));
    page.put("merge", "strategy", settings.merge.strategy.word());
    page.put("merge", "require", array(settings.merge.require.iter().map(|r| r.word())));
    page.put("merge", "push", settings.merge.push);
    page.put("sandbox", "mode", settings.sandbox.mode.word());
    page.put("sandbox", "write", array(settings.sandbox.write.iter().map(String::as_str)));
    page.put("notify", "terminal", settings.notify.terminal);
    page.put("notify", "command", array(settings.notify.command.iter().map(String::as_str)));
    for (name, settings) in &settings.agents {
        agent(&mut page, name.as_str(), settings);
    }
    routes(&mut page, &settings.routes);
    page.document
}

/// A document under construction.
struct Page<'a> {
    document: DocumentMut,
    origin: &'a dyn Fn(&str) -> Option<String>,
}

impl Page<'_> {
    fn put(&mut self, section: &str, key: &str, value: impl Into<Value>) {
        let path = super::read::join(section, key);
        let mut value = value.into();
        if let Some(origin) = (self.origin)(&path) {
            value.decor_mut().set_suffix(format!("  # {origin}"));
        }
        table(&mut self.document, section).insert(key, Item::Value(value));
    }

    fn put_some(&mut self, section: &str, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(section, key, value);
        }
    }

    fn put_list(&mut self, section: &str, key: &str, mut list: ArrayOfTables) {
        if list.is_empty() {
            return;
        }
        if let Some(origin) = (self.origin)(&super::read::join(section, key)) {
            let first = list.get_mut(0).expect("the list is not empty");
            first.decor_mut().set_prefix(format!("\n# {origin}\n"));
        }
        table(&mut self.document, section).insert(key, Item::ArrayOfTables(list));
    }
}

/// The table of a section, `""` for the root; made where it is missing.
fn table<'a>(document: &'a mut DocumentMut, section: &str) -> &'a mut Table {
    let mut table = document.as_table_mut();
    for part in section.split('.').filter(|part| !part.is_empty()) {
        let item = table.entry(part).or_insert_with(|| {
            let mut table = Table::new();
            // A table that only holds others needs no header of its own.
            table.set_implicit(true);
            Item::Table(table)
        });
        table = item.as_table_mut().expect("sections of this document are tables");
    }
    table
}

fn array<'a>(items: impl Iterator<Item = &'a str>) -> Array {
    items.collect()
}

fn number(n: u64) -> i64 {
    i64::try_from(n).expect("every number of the settings is bounded far below 2^63")
}

fn limit(limit: Limit) -> Option<i64> {
    limit.max().map(i64::from)
}

fn worktrees(page: &mut Page<'_>, settings: &Settings) {
    let (at, it) = ("worktrees", &settings.worktrees);
    page.put_some(at, "root", it.root.as_ref().map(|root| root.to_string_lossy().into_owned()));
    page.put(at, "copy", array(it.copy.iter().map(|p| p.as_str())));
    page.put(at, "link", array(it.link.iter().map(|p| p.as_str())));
    page.put(at, "setup", array(it.setup.iter().map(String::as_str)));
    page.put(at, "setup_timeout", exact(it.setup_timeout));
    page.put(at, "teardown", array(it.teardown.iter().map(String::as_str)));
    if let Some(ports) = it.ports {
        let mut table = InlineTable::new();
        table.insert("range", format!("{}-{}", ports.first, ports.last).into());
        table.insert("per_task", i64::from(ports.per_task).into());
        page.put(at, "ports", table);
    }
}

fn wip_and_check_in(page: &mut Page<'_>, settings: &Settings) {
    let it = &settings.wip;
    page.put_some("wip", "build", limit(it.build));
    page.put_some("wip", "review", limit(it.review));
    page.put_some("wip", "machine", limit(it.machine));
    page.put("wip", "idle", exact(it.idle));
    for (mode, weight) in
        [("delegate", it.weight.delegate), ("checkpoint", it.weight.checkpoint), ("own", it.weight.own)]
    {
        page.put("wip.weight", mode, i64::from(weight));
    }
    let it = &settings.check_in;
    page.put("check_in", "every", exact(it.every));
    page.put("check_in", "nudges", i64::from(it.nudges));
    page.put("check_in", "grace", exact(it.grace));
    page.put("check_in", "silence", exact(it.silence));
}

fn limits(page: &mut Page<'_>, settings: &Settings) {
    let (at, it) = ("limits", &settings.limits);
    page.put(at, "wall_clock", exact(it.wall_clock));
    page.put(at, "late_check_ins", i64::from(it.late_check_ins));
    page.put(at, "red_verdicts", i64::from(it.red_verdicts));
    page.put(at, "same_failure", i64::from(it.same_failure));
    page.put(at, "changed_lines", number(it.changed_lines));
    page.put(at, "changed_files", number(it.changed_files));
    page.put_some(at, "tokens", it.tokens.map(number));
    page.put_some(at, "cost_usd", it.cost_usd);
    page.put(at, "off_limits", it.off_limits.word());
    page.put(at, "action", it.action.word());
}

fn verify(page: &mut Page<'_>, settings: &Settings) {
    let it = &settings.verify;
    page.put("verify", "on", array(it.on.iter().map(|on| on.word())));
    page.put("verify", "parallel", i64::from(it.parallel.get()));
    page.put_list("verify", "check", it.checks.iter().map(check).collect());
}

/// `[[verify.check]]` as a table.
pub(super) fn check(check: &CheckSettings) -> Table {
    let mut table = Table::new();
    table.insert("name", toml_edit::value(check.name.as_str()));
    table.insert("run", toml_edit::value(check.run.as_str()));
    table.insert("report", toml_edit::value(report_text(&check.report)));
    table.insert("timeout", toml_edit::value(exact(check.timeout)));
    table
}

fn agent(page: &mut Page<'_>, name: &str, it: &AgentSettings) {
    let at = format!("agents.{name}");
    page.put(&at, "adapter", it.adapter.as_str());
    page.put(&at, "command", array(it.command.iter().map(String::as_str)));
    page.put(&at, "args", array(it.args.iter().map(String::as_str)));
    if !it.env.is_empty() {
        let env: InlineTable = it.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        page.put(&at, "env", env);
    }
    page.put_some(&at, "max", limit(it.max));
    page.put_some(&at, "prompt", it.prompt.map(Choice::word));
}

fn routes(page: &mut Page<'_>, routes: &[Route]) {
    let list = routes.iter().map(|route| {
        let mut table = Table::new();
        table.insert("paths", toml_edit::value(array(route.paths.iter().map(|p| p.as_str()))));
        table.insert("agent", toml_edit::value(route.agent.as_str()));
        table
    });
    page.put_list("", "route", list.collect());
}

/// A duration to the millisecond; its `Display` shows only the two largest units.
fn exact(span: crate::model::time::Span) -> String {
    let shown = span.to_string();
    if shown.parse() == Ok(span) { shown } else { format!("{}ms", span.0) }
}
