//! A statement as it may be shown: without its literals, on one line, cut.

/// Leaves out what stands in quotes, in dollar quotes and in comments, and numbers of four digits or more: any of them may be somebody's.
pub(super) fn bare(statement: &str) -> String {
    let mut out = String::with_capacity(statement.len().min(MOST * 4));
    let mut rest = statement;
    let mut shown = 0;
    while let Some(first) = rest.chars().next() {
        if shown >= MOST {
            out.push('…');
            break;
        }
        let (piece, taken) = if let Some(length) = literal(rest) {
            ("?", length)
        } else if let Some(length) = comment(rest) {
            (" ", length)
        } else if first.is_whitespace() {
            let length = rest.len() - rest.trim_start().len();
            (" ", length)
        } else if first.is_ascii_digit()
            && !out.ends_with(|last: char| last.is_alphanumeric() || last == '_' || last == '$')
        {
            let length = rest
                .find(|next: char| !next.is_ascii_digit())
                .unwrap_or(rest.len());
            (if length >= 4 { "?" } else { &rest[..length] }, length)
        } else {
            (&rest[..first.len_utf8()], first.len_utf8())
        };
        if piece != " " || !out.ends_with(' ') {
            out.push_str(piece);
            shown += piece.chars().count();
        }
        rest = &rest[taken..];
    }
    out.trim().to_owned()
}

/// The length of the literal that `text` begins with. One without an end, as in a statement that the server has cut, goes on to the last
/// character.
fn literal(text: &str) -> Option<usize> {
    if let Some(body) = text.strip_prefix('\'') {
        // A backslash before a quote may or may not make it one inside, depending on settings: then all the rest is left out.
        let mut from = 0;
        while let Some(at) = body[from..].find('\'') {
            let at = from + at;
            if body[..at].ends_with('\\') {
                break;
            }
            if body[at + 1..].starts_with('\'') {
                from = at + 2;
                continue;
            }
            return Some(1 + at + 1);
        }
        return Some(text.len());
    }
    let tag = text.strip_prefix('$')?;
    let end = tag.find('$')?;
    let name = &tag[..end];
    let named = name.chars().all(|next| next == '_' || next.is_alphanumeric());
    if !named || name.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let quote = &text[..end + 2];
    let body = &text[quote.len()..];
    Some(
        body.find(quote)
            .map_or(text.len(), |at| quote.len() + at + quote.len()),
    )
}

fn comment(text: &str) -> Option<usize> {
    if text.starts_with("--") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    // One inside another ends the inner one only.
    let (mut from, mut depth) = (2, 1);
    while depth > 0 {
        let Some(at) = text[from..].find(['/', '*']).map(|at| from + at) else {
            return Some(text.len());
        };
        let (length, inner) = match text.get(at..at + 2) {
            Some("/*") => (2, 1),
            Some("*/") => (2, -1),
            _ => (1, 0),
        };
        (from, depth) = (at + length, depth + inner);
    }
    Some(from)
}

/// Characters that are shown.
const MOST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_are_left_out() {
        for (statement, shown) in [
            (
                "select * from users where name = '山田太郎' and age > 30",
                "select * from users where name = ? and age > 30",
            ),
            (
                "insert into t values ('it''s', E'a\\'b', 'c')",
                "insert into t values (?, E?",
            ),
            ("select $$Taro Yamada$$, $x$ a $$ b $x$, $1", "select ?, ?, $1"),
            ("select 09012345678, t1.c2, 12", "select ?, t1.c2, 12"),
            ("select 1 -- for Taro\n/* and Hanako */ from t", "select 1 from t"),
            ("select /* a /* b */ Taro */ 1, /* c /* d */ cut", "select 1,"),
            ("update t set a = 'cut by the server", "update t set a = ?"),
            ("select 'a\\' , 'secret'", "select ?"),
        ] {
            assert_eq!(bare(statement), shown, "{statement}");
        }
        let long = bare(&"select ".repeat(100));
        assert!(long.chars().count() <= MOST + 1 && long.ends_with('…'), "{long}");
    }
}
