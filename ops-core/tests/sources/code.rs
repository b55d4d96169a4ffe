use std::ops::Range;

/// Where `word` stands as a word of its own.
pub(super) fn words<'c>(code: &'c str, word: &'c str) -> impl Iterator<Item = usize> + 'c {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| !code[..*at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word))
}

pub(super) fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The names after `::` at `at`: one, or the first of each path of a group.
pub(super) fn names_after(code: &str, at: usize) -> Vec<(usize, String)> {
    let after_spaces = |at: usize| at + (code[at..].len() - code[at..].trim_start().len());
    let at = after_spaces(at);
    if !code[at..].starts_with("::") {
        return Vec::new();
    }
    let at = after_spaces(at + 2);
    let name_at = |at: usize| -> (usize, String) {
        let name: String = code[at..].chars().take_while(|letter| is_word(*letter)).collect();
        let star = name.is_empty() && code[at..].starts_with('*');
        (at, if star { "*".to_owned() } else { name })
    };
    if !code[at..].starts_with('{') {
        return vec![name_at(at)];
    }
    let mut names = Vec::new();
    let mut depth = 0;
    for (offset, letter) in code[at..].char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(letter, '{' | ',') {
            let name = name_at(after_spaces(at + offset + 1));
            names.extend((!name.1.is_empty()).then_some(name));
        }
    }
    names
}

/// The items that are compiled for tests only, each from its attribute to its end.
pub(super) fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items = Vec::new();
    for (start, _) in code.match_indices("#[cfg(") {
        let condition = code[start..].split(']').next().unwrap_or("");
        if words(condition, "test").next().is_none() || words(condition, "not").next().is_some() {
            continue;
        }
        let item = start + condition.len();
        let end = match code[item..].find(['{', ';']) {
            Some(open) if code[item + open..].starts_with('{') => end_of_block(code, item + open),
            Some(semicolon) => item + semicolon,
            None => code.len(),
        };
        items.push(start..end);
    }
    items
}

/// The blocks of `mod name { … }`.
pub(super) fn inline_modules(code: &str) -> Vec<Range<usize>> {
    words(code, "mod")
        .filter_map(|at| {
            let name = code[at + 3..].trim_start();
            let block = name.trim_start_matches(is_word).trim_start();
            let open = code.len() - block.len();
            block.starts_with('{').then(|| open..end_of_block(code, open))
        })
        .collect()
}

fn end_of_block(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (offset, letter) in code[open..].char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + offset + 1;
        }
    }
    code.len()
}

/// The text with every comment, string and character literal blanked out; line breaks stay.
pub(super) fn without_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let literal = length_of_literal(rest, code.ends_with(is_word));
        let (shown, skipped) = match literal {
            0 => (true, letter.len_utf8()),
            length => (false, length),
        };
        let (part, after) = rest.split_at(skipped);
        if shown {
            code.push_str(part);
        } else {
            code.extend(part.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    code
}

/// How long the comment or literal is that `text` begins with; 0 if it begins with code.
fn length_of_literal(text: &str, in_word: bool) -> usize {
    let until = |end: &str, from: usize| {
        let found = text[from..].find(end);
        found.map_or(text.len(), |at| from + at + end.len())
    };
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        let (mut depth, mut at) = (0_usize, 0);
        while at < text.len() {
            let here = &text.as_bytes()[at..];
            if here.starts_with(b"/*") {
                (depth, at) = (depth + 1, at + 2);
            } else if here.starts_with(b"*/") {
                (depth, at) = (depth - 1, at + 2);
            } else {
                at += 1;
            }
            if depth == 0 {
                return at;
            }
        }
        return text.len();
    }
    if text.starts_with('r') && !in_word {
        let hashes = text[1..].len() - text[1..].trim_start_matches('#').len();
        if text[1 + hashes..].starts_with('"') {
            return until(&format!("\"{}", "#".repeat(hashes)), hashes + 2);
        }
    }
    if text.starts_with('"') {
        let mut escaped = false;
        for (at, letter) in text.char_indices().skip(1) {
            match letter {
                '"' if !escaped => return at + 1,
                _ => escaped = letter == '\\' && !escaped,
            }
        }
        return text.len();
    }
    if text.starts_with("'\\") {
        return until("'", 3);
    }
    if text.starts_with('\'') {
        // A character, or a lifetime, which has no closing quote.
        let mut letters = text.char_indices().skip(2);
        if let Some((at, '\'')) = letters.next() {
            return at + 1;
        }
    }
    0
}
