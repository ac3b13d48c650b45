//! Reads Rust source as text: tokens without comments and without code that only tests see, and
//! the paths that are left.
//!
//! **Invariant:** nothing inside a comment or a string is ever taken for code, and every token
//! knows its line. Must not know: rooms and rules.

use std::collections::BTreeMap;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Identifier or keyword.
    Word,
    /// String literal; the text is its content as written.
    Text,
    /// Number, character or lifetime.
    Other,
    /// Punctuation: one character, or `::`.
    Mark,
}

/// One token and the line it begins on, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text && matches!(self.kind, Kind::Word | Kind::Mark)
    }
}

/// Cuts source into tokens.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { chars: source.chars().collect(), at: 0, line: 1, out: Vec::new() };
    while lexer.at < lexer.chars.len() {
        lexer.step();
    }
    lexer.out
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    out: Vec<Token>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn bump(&mut self) -> char {
        let c = self.peek(0);
        self.at += 1;
        self.line += usize::from(c == '\n');
        c
    }

    fn push(&mut self, kind: Kind, text: String, line: usize) {
        self.out.push(Token { kind, text, line });
    }

    fn step(&mut self) {
        let (c, line) = (self.peek(0), self.line);
        match c {
            _ if c.is_whitespace() => {
                self.bump();
            }
            '/' if self.peek(1) == '/' => {
                while self.at < self.chars.len() && self.peek(0) != '\n' {
                    self.bump();
                }
            }
            '/' if self.peek(1) == '*' => self.block_comment(),
            '"' => self.text(),
            '\'' => self.quote(),
            _ if c.is_alphabetic() || c == '_' => self.word(),
            _ if c.is_ascii_digit() => {
                while self.peek(0).is_alphanumeric()
                    || self.peek(0) == '_'
                    || (self.peek(0) == '.' && self.peek(1).is_ascii_digit())
                {
                    self.bump();
                }
                self.push(Kind::Other, "0".into(), line);
            }
            ':' if self.peek(1) == ':' => {
                self.at += 2;
                self.push(Kind::Mark, "::".into(), line);
            }
            _ => {
                self.bump();
                self.push(Kind::Mark, c.into(), line);
            }
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => (depth, self.at) = (depth + 1, self.at + 2),
                ('*', '/') => (depth, self.at) = (depth - 1, self.at + 2),
                _ => {
                    self.bump();
                }
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn word(&mut self) {
        let line = self.line;
        let mut word = String::new();
        while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
            word.push(self.bump());
        }
        match (word.as_str(), self.peek(0)) {
            ("b" | "c", '"') => self.text(),
            ("b", '\'') => self.quote(),
            ("r" | "br" | "cr", '"') => self.raw_text(),
            ("r" | "br" | "cr", '#') => {
                let hashes = (0..).take_while(|&n| self.peek(n) == '#').count();
                if self.peek(hashes) == '"' {
                    self.raw_text();
                } else if word == "r" && hashes == 1 {
                    self.bump();
                    self.word();
                } else {
                    self.push(Kind::Word, word, line);
                }
            }
            _ => self.push(Kind::Word, word, line),
        }
    }

    fn text(&mut self) {
        let line = self.line;
        self.bump();
        let mut text = String::new();
        while self.at < self.chars.len() && self.peek(0) != '"' {
            if self.peek(0) == '\\' {
                text.push(self.bump());
            }
            text.push(self.bump());
        }
        self.bump();
        self.push(Kind::Text, text, line);
    }

    fn raw_text(&mut self) {
        let line = self.line;
        let hashes = (0..).take_while(|&n| self.peek(n) == '#').count();
        for _ in 0..=hashes {
            self.bump();
        }
        let mut text = String::new();
        while self.at < self.chars.len() && !(self.peek(0) == '"' && (1..=hashes).all(|n| self.peek(n) == '#')) {
            text.push(self.bump());
        }
        for _ in 0..=hashes {
            self.bump();
        }
        self.push(Kind::Text, text, line);
    }

    /// A character literal, or a lifetime.
    fn quote(&mut self) {
        let line = self.line;
        self.bump();
        if self.peek(0) == '\\' {
            self.at += 2;
            while self.at < self.chars.len() && self.peek(0) != '\'' {
                self.bump();
            }
            self.bump();
        } else if self.peek(1) == '\'' {
            self.bump();
            self.bump();
        } else {
            while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
                self.bump();
            }
        }
        self.push(Kind::Other, "'".into(), line);
    }
}

/// A source without what only tests see.
#[derive(Debug, Default)]
pub(crate) struct Shipped {
    pub(crate) tokens: Vec<Token>,
    /// Lines that only tests see.
    pub(crate) test_lines: usize,
    /// `#[cfg(test)] mod NAME;`: modules in files that only tests see.
    pub(crate) test_modules: Vec<String>,
    /// The same with a `#[path]`: files, seen from the folder of the one that names them.
    pub(crate) test_files: Vec<String>,
}

/// Takes out every item under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
pub(crate) fn shipped(all: &[Token]) -> Shipped {
    let mut out = Shipped::default();
    let mut at = 0;
    while at < all.len() {
        if is_test_attribute(&all[at..], true) {
            out.test_lines = all.last().map_or(0, |last| last.line);
            out.tokens.clear();
            return out;
        }
        let (item, is_test, file) = attributes(all, at);
        if !is_test {
            // What is no attribute goes one token at a time; attributes go as a whole.
            let end = item.max(at + 1);
            out.tokens.extend_from_slice(&all[at..end]);
            at = end;
            continue;
        }
        let first = all[at].line;
        at = past_item(all, item);
        let words: Vec<&str> = all[item..at].iter().map(|t| t.text.as_str()).collect();
        if let [.., "mod", name, ";"] = words.as_slice() {
            match file {
                Some(file) => out.test_files.push(file),
                None => out.test_modules.push((*name).to_owned()),
            }
        }
        let last = all[..at].last().map_or(first, |t| t.line);
        out.test_lines += last + 1 - first;
    }
    out
}

/// The attributes that begin at `at`: the index after them, whether one of them is for tests
/// only, and the file that a `#[path]` among them names.
fn attributes(all: &[Token], mut at: usize) -> (usize, bool, Option<String>) {
    let (mut is_test, mut file) = (false, None);
    while all.get(at).is_some_and(|t| t.is("#")) && all.get(at + 1).is_some_and(|t| t.is("[")) {
        is_test |= is_test_attribute(&all[at..], false);
        if let [name, equals, path] = &all[(at + 2).min(all.len())..(at + 5).min(all.len())]
            && name.is("path")
            && equals.is("=")
        {
            file = Some(path.text.clone());
        }
        at = past_group(all, at + 1);
    }
    (at, is_test, file)
}

fn is_test_attribute(tokens: &[Token], inner: bool) -> bool {
    let words: Vec<&str> = tokens.iter().take(8).map(|t| t.text.as_str()).collect();
    let body = match (words.as_slice(), inner) {
        (["#", "!", "[", rest @ ..], true) | (["#", "[", rest @ ..], false) => rest,
        _ => return false,
    };
    matches!(body, ["cfg", "(", "test", ")", ..] | ["cfg", "(", "all", "(", "test", ..])
}

/// The index after the bracket group that opens at `open`.
fn past_group(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        if token.is("[") || token.is("(") || token.is("{") {
            depth += 1;
        } else if token.is("]") || token.is(")") || token.is("}") {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return index + 1;
            }
        }
    }
    tokens.len()
}

/// The index after the item, statement or field that begins at `start`.
fn past_item(tokens: &[Token], start: usize) -> usize {
    const ITEMS: &[&str] = &[
        "pub",
        "fn",
        "mod",
        "use",
        "impl",
        "struct",
        "enum",
        "const",
        "static",
        "trait",
        "type",
        "unsafe",
        "async",
        "extern",
        "macro_rules",
    ];
    let is_item = tokens.get(start).is_some_and(|t| ITEMS.iter().any(|word| t.is(word)));
    let is_use = tokens[start..].iter().take_while(|t| !t.is(";") && !t.is("{")).any(|t| t.is("use"));
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        if token.is("}") || token.is(")") || token.is("]") {
            return at;
        }
        if token.is(";") || (token.is(",") && !is_item) {
            return at + 1;
        }
        if token.is("(") || token.is("[") || token.is("{") {
            let is_block = token.is("{");
            at = past_group(tokens, at);
            if is_block && is_item && !is_use {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// A path as it stands in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// Inline modules around it, outermost first.
    pub(crate) modules: Vec<String>,
    /// Whether it stands in a `use` item, and under which name it is then known.
    pub(crate) import: Option<String>,
}

/// All paths of two segments or more, and every import.
pub(crate) fn paths(tokens: &[Token]) -> Vec<Path> {
    let mut out = Vec::new();
    let (mut depth, mut modules): (usize, Vec<(String, usize)>) = (0, Vec::new());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let names = |m: &[(String, usize)]| m.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if token.is("{") {
            depth += 1;
        } else if token.is("}") {
            depth = depth.saturating_sub(1);
            modules.retain(|(_, opened)| *opened <= depth);
        } else if token.is("mod") && tokens.get(at + 2).is_some_and(|t| t.is("{")) {
            modules.push((tokens[at + 1].text.clone(), depth + 1));
            at += 1;
        } else if token.is("use") && !tokens.get(at + 1).is_some_and(|t| t.is("<")) {
            let mut tree = Tree { tokens, at: at + 1, modules: names(&modules), out: &mut out };
            tree.read(&[]);
            at = tree.at;
            continue;
        } else if token.is("extern") && tokens.get(at + 1).is_some_and(|t| t.is("crate")) {
            if let Some(name) = tokens.get(at + 2) {
                let segments = vec![name.text.clone()];
                out.push(Path { segments, line: name.line, modules: names(&modules), import: Some(name.text.clone()) });
            }
            at += 3;
            continue;
        } else if token.kind == Kind::Word && begins_path(tokens, at) {
            let (segments, end) = chain(tokens, at);
            if segments.len() > 1 {
                out.push(Path { segments, line: token.line, modules: names(&modules), import: None });
            }
            at = end;
            continue;
        }
        at += 1;
    }
    out
}

/// Whether the word at `at` opens a path: it follows neither a dot nor another segment.
fn begins_path(tokens: &[Token], at: usize) -> bool {
    let before = |n: usize| at.checked_sub(n).and_then(|i| tokens.get(i));
    match before(1) {
        Some(t) if t.is(".") => before(2).is_some_and(|t| t.is(".")),
        Some(t) if t.is("::") => !before(2).is_some_and(|t| t.kind == Kind::Word || t.is(">")),
        _ => true,
    }
}

fn chain(tokens: &[Token], at: usize) -> (Vec<String>, usize) {
    let mut segments = vec![tokens[at].text.clone()];
    let mut end = at + 1;
    while tokens.get(end).is_some_and(|t| t.is("::")) && tokens.get(end + 1).is_some_and(|t| t.kind == Kind::Word) {
        segments.push(tokens[end + 1].text.clone());
        end += 2;
    }
    (segments, end)
}

struct Tree<'a> {
    tokens: &'a [Token],
    at: usize,
    modules: Vec<String>,
    out: &'a mut Vec<Path>,
}

impl Tree<'_> {
    fn is(&self, text: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|t| t.is(text))
    }

    /// Reads one branch of a `use` tree and stops at what ends it: `,`, `}` or `;`.
    fn read(&mut self, prefix: &[String]) {
        let mut segments = prefix.to_vec();
        let mut line = self.tokens.get(self.at).map_or(0, |t| t.line);
        let mut alias = None;
        while let Some(token) = self.tokens.get(self.at) {
            if token.is(",") || token.is("}") || token.is(";") {
                break;
            }
            self.at += 1;
            if token.is("{") {
                while self.at < self.tokens.len() && !self.is("}") && !self.is(";") {
                    self.read(&segments);
                    self.at += usize::from(self.is(","));
                }
                self.at += usize::from(self.is("}"));
                return;
            }
            if token.is("as") {
                alias = self.tokens.get(self.at).map(|t| t.text.clone());
                self.at += 1;
            } else if token.kind == Kind::Word || token.is("*") {
                line = token.line;
                if !token.is("self") || segments.is_empty() {
                    segments.push(token.text.clone());
                }
            }
        }
        if let Some(last) = segments.last() {
            let import = Some(alias.unwrap_or_else(|| last.clone()));
            self.out.push(Path { segments, line, modules: self.modules.clone(), import });
        }
    }
}

/// The names that a file gives to paths: by `use`, and by declaring modules.
pub(crate) fn names(tokens: &[Token], paths: &[Path]) -> BTreeMap<String, Option<Vec<String>>> {
    let mut names = BTreeMap::new();
    for pair in tokens.windows(2) {
        if pair[0].is("mod") && pair[1].kind == Kind::Word {
            names.insert(pair[1].text.clone(), None);
        }
    }
    for path in paths {
        if let Some(name) = &path.import
            && name != "*"
            && name != "_"
        {
            names.insert(name.clone(), Some(path.segments.clone()));
        }
    }
    names
}
