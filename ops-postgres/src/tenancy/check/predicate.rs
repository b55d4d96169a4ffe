//! Whether the text of a policy's condition holds a tenant apart. What is not recognised does not.

use super::super::SETTING;

/// How a condition names the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// Not at all, or in a way that is not recognised.
    Open,
    /// By `current_setting` without "missing is fine": an error instead of no rows.
    Noisy,
    /// Read again for each row.
    PerRow,
    /// Once, and no rows without a tenant.
    Best,
}

/// The form of `condition`, as `pg_get_expr` prints it. A part joined by `and` is enough; one joined by `or` is not.
pub(super) fn form(condition: &str, column: &str) -> Form {
    conjuncts(condition)
        .into_iter()
        .map(|part| form_of_one(part, column))
        .max()
        .unwrap_or(Form::Open)
}

/// Whether the tenant is all that it asks for.
pub(super) fn is_only_the_tenant(condition: &str, column: &str) -> bool {
    matches!(conjuncts(condition).as_slice(), [only] if form_of_one(only, column) != Form::Open)
}

fn form_of_one(part: &str, column: &str) -> Form {
    let text = normal(part);
    let column = normal(column);
    let setting = format!("current_setting'{SETTING}'");
    let forms = [
        (format!("selectnullif{setting},true,''"), Form::Best),
        (format!("select{setting},true"), Form::Best),
        (format!("nullif{setting},true,''"), Form::PerRow),
        (format!("{setting},true"), Form::PerRow),
        (format!("select{setting}"), Form::Noisy),
        (setting, Form::Noisy),
    ];
    forms
        .into_iter()
        .find(|(value, _)| text == format!("{column}={value}") || text == format!("{value}={column}"))
        .map_or(Form::Open, |(_, form)| form)
}

/// Without spaces, parentheses, casts, quotes around names and the alias that the server adds to a sub-select. Texts stay as they are.
fn normal(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    let mut rest = part;
    while let Some(c) = rest.chars().next() {
        if c == '\'' {
            let end = rest[1..].find('\'').map_or(rest.len(), |end| end + 2);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        } else if let Some(after) = rest.strip_prefix("::") {
            rest = after.trim_start_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '"'));
            for more in [" varying", " without time zone", " with time zone"] {
                rest = rest.strip_prefix(more).unwrap_or(rest);
            }
        } else if let Some(after) = rest.strip_prefix(" AS ") {
            rest = after.trim_start_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '"'));
        } else {
            if !c.is_whitespace() && !matches!(c, '(' | ')' | '"') {
                out.extend(c.to_lowercase());
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// The parts of `a and b and c`, outer parentheses taken off.
fn conjuncts(condition: &str) -> Vec<&str> {
    let condition = bare(condition);
    let mut parts = Vec::new();
    let (mut depth, mut quoted, mut from) = (0_i32, false, 0);
    for (at, c) in condition.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            'A' if !quoted
                && depth == 0
                && condition[..at].ends_with(' ')
                && condition[at..].starts_with("AND ") =>
            {
                parts.push(&condition[from..at]);
                from = at + "AND ".len();
            }
            _ => {}
        }
    }
    // The `and` of a `case` joins no conditions of the whole.
    if from == 0 || condition.contains("CASE ") {
        return vec![condition];
    }
    parts.push(&condition[from..]);
    parts.into_iter().flat_map(conjuncts).collect()
}

/// Without parentheses around the whole.
fn bare(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) else {
        return text;
    };
    let (mut depth, mut quoted) = (0_i32, false);
    for c in inner.chars() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return text;
        }
    }
    bare(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEST: &str = r#"(organization_id = ( SELECT NULLIF(current_setting('app.current_tenant'::text, true), ''::text) AS "nullif"))"#;

    #[test]
    fn the_forms_that_the_server_prints_are_recognised() {
        let uuid = "(organization_id = ( SELECT (NULLIF(current_setting('app.current_tenant'::text, true), ''::text))::uuid AS \"nullif\"))";
        let varchar = "((organization_id)::text = ( SELECT NULLIF(current_setting('app.current_tenant'::text, true), ''::text) AS \"nullif\"))";
        let per_row =
            "(organization_id = NULLIF(current_setting('app.current_tenant'::text, true), ''::text))";
        let noisy = "(organization_id = current_setting('app.current_tenant'::text))";
        let more = format!("({BEST} AND (deleted_at IS NULL))");
        for (condition, wanted) in [
            (BEST, Form::Best),
            (uuid, Form::Best),
            (varchar, Form::Best),
            (per_row, Form::PerRow),
            (noisy, Form::Noisy),
            (more.as_str(), Form::Best),
        ] {
            assert_eq!(form(condition, "organization_id"), wanted, "{condition}");
        }
        assert!(is_only_the_tenant(BEST, "organization_id") && !is_only_the_tenant(&more, "organization_id"));
    }

    #[test]
    fn anything_that_lets_more_through_is_open() {
        let or = format!("({BEST} OR is_shared)");
        let inner_or = format!("(({BEST} OR is_shared) AND true)");
        let case = format!("CASE WHEN a AND {BEST} AND b THEN true ELSE true END");
        let in_text = format!("(note = ' AND {}')", BEST.replace('\'', ""));
        for condition in [
            "true",
            or.as_str(),
            inner_or.as_str(),
            in_text.as_str(),
            "(organization_id = COALESCE(current_setting('app.current_tenant'::text, true), organization_id))",
            "(organization_id <> current_setting('app.current_tenant'::text, true))",
            "(NOT (organization_id = current_setting('app.current_tenant'::text, true)))",
            "(other_id = current_setting('app.current_tenant'::text, true))",
            "(organization_id = current_setting('app.other'::text, true))",
            "(organization_id = organization_id)",
            case.as_str(),
        ] {
            assert_eq!(form(condition, "organization_id"), Form::Open, "{condition}");
        }
    }
}
