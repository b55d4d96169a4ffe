//! As much of the GraphQL language as one operation with variables, arguments, aliases and nested fields needs.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;

/// What an operation may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Query,
    Mutation,
}

/// A document with one operation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// Name and type of each declared variable, as in `("id", "String!")`.
    pub(super) variables: Vec<(String, String)>,
    pub(super) selection: Vec<Selection>,
}

/// One field that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Selection {
    /// The key in the answer: the alias, or the field's name.
    pub(super) key: String,
    pub(super) name: String,
    pub(super) arguments: Vec<(String, Argument)>,
    pub(super) selection: Vec<Self>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Argument {
    Variable(String),
    Literal(Value),
}

/// Deeper documents are refused rather than recursed into.
const DEPTH: u32 = 16;

/// Reads a document.
///
/// # Errors
/// What is wrong with it, for the vendor's error message.
pub(super) fn parse(text: &str) -> Result<Document, String> {
    let mut reader = Reader {
        tokens: tokens(text)?.into_iter().peekable(),
    };
    let kind = match reader.name()?.as_str() {
        "query" => Kind::Query,
        "mutation" => Kind::Mutation,
        other => return Err(format!("unexpected \"{other}\"")),
    };
    let document = Document {
        kind,
        name: reader.name()?,
        variables: reader.variables()?,
        selection: reader.selection(DEPTH)?,
    };
    match reader.tokens.next() {
        None => Ok(document),
        Some(_) => Err("expected exactly one operation".to_owned()),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Number(i64),
    Mark(char),
}

struct Reader {
    tokens: Peekable<std::vec::IntoIter<Token>>,
}

impl Reader {
    fn name(&mut self) -> Result<String, String> {
        match self.tokens.next() {
            Some(Token::Name(name)) => Ok(name),
            found => Err(unexpected(found.as_ref(), "a name")),
        }
    }

    fn takes(&mut self, mark: char) -> bool {
        self.tokens.next_if_eq(&Token::Mark(mark)).is_some()
    }

    fn needs(&mut self, mark: char) -> Result<(), String> {
        match self.takes(mark) {
            true => Ok(()),
            false => Err(unexpected(self.tokens.peek(), &format!("\"{mark}\""))),
        }
    }

    fn variables(&mut self) -> Result<Vec<(String, String)>, String> {
        let mut variables = Vec::new();
        if !self.takes('(') {
            return Ok(variables);
        }
        while !self.takes(')') {
            self.needs('$')?;
            let name = self.name()?;
            self.needs(':')?;
            variables.push((name, self.r#type(DEPTH)?));
        }
        Ok(variables)
    }

    fn r#type(&mut self, depth: u32) -> Result<String, String> {
        let depth = depth.checked_sub(1).ok_or("nested too deeply")?;
        let mut written = if self.takes('[') {
            let inner = self.r#type(depth)?;
            self.needs(']')?;
            format!("[{inner}]")
        } else {
            self.name()?
        };
        if self.takes('!') {
            written.push('!');
        }
        Ok(written)
    }

    fn selection(&mut self, depth: u32) -> Result<Vec<Selection>, String> {
        let depth = depth.checked_sub(1).ok_or("nested too deeply")?;
        let mut fields = Vec::new();
        self.needs('{')?;
        while !self.takes('}') {
            let first = self.name()?;
            let (key, name) = match self.takes(':') {
                true => (first, self.name()?),
                false => (first.clone(), first),
            };
            let arguments = self.arguments()?;
            let selection = match self.tokens.peek() {
                Some(Token::Mark('{')) => self.selection(depth)?,
                _ => Vec::new(),
            };
            fields.push(Selection {
                key,
                name,
                arguments,
                selection,
            });
        }
        match fields.is_empty() {
            true => Err("expected a field".to_owned()),
            false => Ok(fields),
        }
    }

    fn arguments(&mut self) -> Result<Vec<(String, Argument)>, String> {
        let mut arguments = Vec::new();
        if !self.takes('(') {
            return Ok(arguments);
        }
        while !self.takes(')') {
            let name = self.name()?;
            self.needs(':')?;
            let argument = match self.tokens.next() {
                Some(Token::Mark('$')) => Argument::Variable(self.name()?),
                Some(Token::Number(number)) => Argument::Literal(number.into()),
                Some(Token::Name(word)) if word == "true" || word == "false" => {
                    Argument::Literal((word == "true").into())
                }
                Some(Token::Name(word)) if word == "null" => Argument::Literal(Value::Null),
                found => return Err(unexpected(found.as_ref(), "a value")),
            };
            arguments.push((name, argument));
        }
        Ok(arguments)
    }
}

fn unexpected(found: Option<&Token>, wanted: &str) -> String {
    match found {
        None => format!("expected {wanted}, found the end"),
        Some(Token::Name(name)) => format!("expected {wanted}, found \"{name}\""),
        Some(Token::Number(number)) => format!("expected {wanted}, found {number}"),
        Some(Token::Mark(mark)) => format!("expected {wanted}, found \"{mark}\""),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut chars = text.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(&next) = chars.peek() {
        match next {
            '#' => while chars.next_if(|char| *char != '\n').is_some() {},
            ',' => {
                chars.next();
            }
            _ if next.is_whitespace() => {
                chars.next();
            }
            '{' | '}' | '(' | ')' | '[' | ']' | ':' | '!' | '$' => {
                chars.next();
                tokens.push(Token::Mark(next));
            }
            _ if next.is_ascii_alphabetic() || next == '_' => {
                tokens.push(Token::Name(run_of(&mut chars, |char| {
                    char.is_ascii_alphanumeric() || char == '_'
                })));
            }
            _ if next.is_ascii_digit() => {
                let digits = run_of(&mut chars, |char| char.is_ascii_digit());
                let number = digits.parse().map_err(|_| "a number is too large")?;
                tokens.push(Token::Number(number));
            }
            _ => return Err(format!("unexpected character \"{next}\"")),
        }
    }
    Ok(tokens)
}

fn run_of(chars: &mut Peekable<Chars<'_>>, belongs: impl Fn(char) -> bool) -> String {
    let mut run = String::new();
    while let Some(char) = chars.next_if(|char| belongs(*char)) {
        run.push(char);
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_types_arguments_and_aliases() {
        let text = "mutation A($id: String!, $l: [X!]) { # why\n done: stop(id: $id, force: true, n: 3) { x { y } } }";
        let document = parse(text).unwrap();
        assert_eq!((document.kind, document.name.as_str()), (Kind::Mutation, "A"));
        assert_eq!(
            document.variables,
            [
                ("id".to_owned(), "String!".to_owned()),
                ("l".to_owned(), "[X!]".to_owned())
            ]
        );
        let field = &document.selection[0];
        assert_eq!((field.key.as_str(), field.name.as_str()), ("done", "stop"));
        assert_eq!(field.arguments[0].1, Argument::Variable("id".to_owned()));
        assert_eq!(field.arguments[2].1, Argument::Literal(3.into()));
        assert_eq!(field.selection[0].selection[0].name, "y");
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        let deep = format!("query A {{ {} }}", "a { ".repeat(40));
        for wrong in [
            "",
            "query A",
            "query A { }",
            "query A { a",
            "query A { a } query B { b }",
            "{ a }",
            "query A { a(b: \"c\") }",
            &deep,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
