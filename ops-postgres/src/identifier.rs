//! The one place where names and texts become part of a statement.

/// `name` as an SQL identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `schema.name` as an SQL name; without a schema it is one of `public`.
pub(crate) fn qualified(name: &str) -> String {
    let (schema, name) = name.split_once('.').unwrap_or(("public", name));
    format!("{}.{}", quoted(schema), quoted(name))
}

/// `text` as an SQL literal, whatever `standard_conforming_strings` is: a pooler may have left out what our sessions set.
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        return format!("E'{}'", quoted.replace('\\', "\\\\"));
    }
    format!("'{quoted}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_inside_cannot_end_the_name_or_the_text() {
        assert_eq!(quoted(r#"a"; drop table b; --"#), r#""a""; drop table b; --""#);
        assert_eq!(qualified(r#"a.b"; --"#), r#""a"."b""; --""#);
        assert_eq!(qualified("b"), r#""public"."b""#);
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"\'; drop"), r"E'\\''; drop'");
    }
}
