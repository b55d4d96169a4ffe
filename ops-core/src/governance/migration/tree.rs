//! The only place that knows the parser.

use std::ops::Range;

pub(super) use squawk_syntax::SyntaxKind as Kind;
use squawk_syntax::ast::AstNode;
use squawk_syntax::{SourceFile, SyntaxElement, SyntaxNode};

/// A part of a statement.
#[derive(Clone)]
pub(super) struct Node(SyntaxNode);

/// One statement of a script.
pub(super) struct Parsed {
    pub(super) node: Node,
    /// Where it stands in the script, without the semicolon and the comments around it.
    pub(super) range: Range<usize>,
    /// What the parser did not understand.
    pub(super) error: Option<String>,
}

/// The statements of a script, in their order. What is no SQL is a statement with an error.
pub(super) fn parse(script: &str) -> Vec<Parsed> {
    let parse = SourceFile::parse(script);
    let errors = parse.errors();
    let root = parse.tree();
    let mut statements = Vec::new();
    for node in root.syntax().children() {
        let Some(range) = significant(&node) else { continue };
        let whole: Range<usize> = node.text_range().into();
        // An error at the end of a statement is often reported where the next one begins.
        let error = errors.iter().find(|error| {
            let at = usize::from(error.range().start());
            (whole.start..=whole.end).contains(&at)
        });
        statements.push(Parsed {
            node: Node(node.clone()),
            range,
            error: error.map(|error| error.message().to_owned()),
        });
    }
    let lost = errors
        .iter()
        .find(|error| !statements.iter().any(|found| found.error.is_some()) && !error.message().is_empty());
    if let Some(error) = lost {
        let end = script.len();
        statements.push(Parsed {
            node: Node(root.syntax().clone()),
            range: usize::from(error.range().start()).min(end)..end,
            error: Some(error.message().to_owned()),
        });
    }
    statements
}

/// From the first to the last token that is neither space, comment nor semicolon.
fn significant(node: &SyntaxNode) -> Option<Range<usize>> {
    let mut found: Option<Range<usize>> = None;
    for element in node.descendants_with_tokens() {
        let SyntaxElement::Token(token) = element else {
            continue;
        };
        if matches!(token.kind(), Kind::WHITESPACE | Kind::COMMENT | Kind::SEMICOLON) {
            continue;
        }
        let range: Range<usize> = token.text_range().into();
        found = Some(found.map_or(range.start, |found| found.start)..range.end);
    }
    found
}

impl Node {
    pub(super) fn kind(&self) -> Kind {
        self.0.kind()
    }

    pub(super) fn children(&self) -> impl Iterator<Item = Self> + use<> {
        self.0.children().map(Self)
    }

    /// The first child of that kind.
    pub(super) fn child(&self, kind: Kind) -> Option<Self> {
        self.0.children().find(|node| node.kind() == kind).map(Self)
    }

    /// Whether a node or token of that kind stands directly in it.
    pub(super) fn has(&self, kind: Kind) -> bool {
        self.0
            .children_with_tokens()
            .any(|element| element.kind() == kind)
    }

    /// Whether one stands anywhere in it.
    pub(super) fn contains(&self, kind: Kind) -> bool {
        self.0
            .descendants_with_tokens()
            .any(|element| element.kind() == kind)
    }

    /// All of that kind in it, itself included.
    pub(super) fn all(&self, kind: Kind) -> Vec<Self> {
        let found = self.0.descendants().filter(|node| node.kind() == kind);
        found.map(Self).collect()
    }

    /// The first of that kind in it.
    pub(super) fn find(&self, kind: Kind) -> Option<Self> {
        self.0.descendants().find(|node| node.kind() == kind).map(Self)
    }

    /// The parts of the name that it is: `["public", "orders"]`.
    pub(super) fn name(&self) -> Vec<String> {
        let mut parts = Vec::new();
        for element in self.0.descendants_with_tokens() {
            let SyntaxElement::Token(token) = element else {
                continue;
            };
            let text = token.text();
            match token.kind() {
                Kind::WHITESPACE | Kind::COMMENT | Kind::DOT | Kind::ONLY_KW | Kind::STAR => {}
                Kind::L_PAREN | Kind::R_PAREN => {}
                _ => parts.push(identifier(text)),
            }
        }
        parts
    }

    /// Its text in lower case (what is quoted as it is), one space between tokens.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for element in self.0.descendants_with_tokens() {
            let SyntaxElement::Token(token) = element else {
                continue;
            };
            if matches!(token.kind(), Kind::WHITESPACE | Kind::COMMENT | Kind::SEMICOLON) {
                continue;
            }
            let text = token.text();
            let quoted = text.starts_with('"') || text.contains('\'');
            words.push(if quoted {
                text.to_owned()
            } else {
                text.to_lowercase()
            });
        }
        words
    }

    pub(super) fn text(&self) -> String {
        self.words().join(" ")
    }
}

/// As the server takes it: in lower case unless it is quoted.
fn identifier(text: &str) -> String {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => text.to_lowercase(),
    }
}
