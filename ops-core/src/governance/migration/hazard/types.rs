//! Which change of a column's type leaves the rows as they are.

use super::scene::Scene;
use crate::governance::migration::tree::{Kind, Node};

/// A type, as the server writes it, and its modifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DataType {
    pub(super) base: String,
    modifier: Vec<i64>,
    array: bool,
}

impl DataType {
    /// Reads `character varying(20)`, `int4[]`, `numeric(10,2)`, in whatever spelling.
    pub(super) fn read(text: &str) -> Self {
        let text = text.to_lowercase();
        let array = text.contains('[') || text.ends_with(" array");
        let mut modifier = Vec::new();
        let mut base = String::new();
        let mut inside = false;
        for part in text.split_inclusive(['(', ')']) {
            let plain = part.trim_end_matches(['(', ')']);
            if inside {
                modifier = plain
                    .split(',')
                    .filter_map(|part| part.trim().parse().ok())
                    .collect();
            } else {
                base.push_str(plain);
                base.push(' ');
            }
            inside = part.ends_with('(');
        }
        let base = base.split('[').next().unwrap_or_default().replace('"', "");
        let words: Vec<_> = base.split_whitespace().filter(|word| *word != "array").collect();
        let base = words.join(" ").replace(" . ", ".");
        let base = base.strip_prefix("pg_catalog.").unwrap_or(&base);
        Self {
            base: canonical(base).to_owned(),
            modifier,
            array,
        }
    }

    /// The type that stands in `node`, a column or a change of type.
    pub(super) fn of(node: &Node) -> Option<Self> {
        let kinds = [
            Kind::ARRAY_TYPE,
            Kind::PATH_TYPE,
            Kind::VARCHAR_TYPE,
            Kind::CHARACTER_TYPE,
            Kind::BIT_TYPE,
            Kind::BIT_VARYING_TYPE,
            Kind::DOUBLE_TYPE,
            Kind::TIME_TYPE,
            Kind::TIMESTAMP_TYPE,
            Kind::INTERVAL_TYPE,
            Kind::PERCENT_TYPE,
        ];
        let found = node.children().find(|child| kinds.contains(&child.kind()))?;
        Some(Self::read(&found.text()))
    }

    pub(super) fn is_serial(&self) -> bool {
        matches!(
            self.base.as_str(),
            "serial" | "bigserial" | "smallserial" | "serial4" | "serial8" | "serial2"
        )
    }
}

fn canonical(base: &str) -> &str {
    match base {
        "int" | "int4" => "integer",
        "int8" => "bigint",
        "int2" => "smallint",
        "decimal" => "numeric",
        "float8" | "float" => "double precision",
        "float4" => "real",
        "bool" => "boolean",
        "varchar" | "char varying" => "character varying",
        "char" | "bpchar" => "character",
        "varbit" => "bit varying",
        "timestamptz" => "timestamp with time zone",
        "timestamp" => "timestamp without time zone",
        "timetz" => "time with time zone",
        "time" => "time without time zone",
        other => other,
    }
}

/// Whether the server writes every row anew. Both types without a `USING`.
pub(super) fn is_rewritten(scene: &Scene, from: &DataType, to: &DataType) -> bool {
    if let Some(domain) = domain(scene, to) {
        let base = DataType::read(&domain.base);
        return domain.checked || is_rewritten(scene, from, &base);
    }
    if let Some(domain) = domain(scene, from) {
        let base = DataType::read(&domain.base);
        return is_rewritten(scene, &base, to);
    }
    if from.array || to.array {
        // Elements are converted one by one, even when that changes nothing.
        return from != to;
    }
    if from.base == to.base {
        return narrows(from, to);
    }
    match (from.base.as_str(), to.base.as_str()) {
        ("character varying", "text") | ("cidr", "inet") => false,
        ("text", "character varying") => !to.modifier.is_empty(),
        ("bit", "bit varying") => !to.modifier.is_empty(),
        ("bit varying", "bit") => true,
        ("integer", "oid") | ("oid", "integer") | ("xml", "text") => false,
        ("timestamp without time zone", "timestamp with time zone")
        | ("timestamp with time zone", "timestamp without time zone") => {
            !is_utc(&scene.schema.time_zone) || narrows(from, to)
        }
        _ => true,
    }
}

/// Whether a value may have to change to fit the same type with another modifier.
fn narrows(from: &DataType, to: &DataType) -> bool {
    if from.modifier == to.modifier {
        return false;
    }
    match to.base.as_str() {
        "character varying" | "bit varying" => match (from.modifier.first(), to.modifier.first()) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(from), Some(to)) => to < from,
        },
        "numeric" => {
            let parts = |of: &DataType| {
                of.modifier
                    .first()
                    .map(|p| (*p, *of.modifier.get(1).unwrap_or(&0)))
            };
            match (parts(from), parts(to)) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some((from, scale)), Some((to, new_scale))) => to < from || scale != new_scale,
            }
        }
        base if base.starts_with("timestamp") || base.starts_with("time") || base.starts_with("interval") => {
            let precision = |of: &DataType| of.modifier.first().copied().unwrap_or(6);
            precision(to) < precision(from)
        }
        _ => true,
    }
}

fn domain<'a>(scene: &'a Scene, of: &DataType) -> Option<&'a crate::model::Domain> {
    let parts: Vec<String> = of.base.split('.').map(str::to_owned).collect();
    scene.schema.domains.get(&scene.resolve(&parts))
}

/// Whether an index on the old type serves the new one.
pub(super) fn same_order(scene: &Scene, from: &DataType, to: &DataType) -> bool {
    let family = |of: &DataType| {
        let of = domain(scene, of).map_or_else(|| of.clone(), |domain| DataType::read(&domain.base));
        match of.base.as_str() {
            "character varying" | "text" => "text".to_owned(),
            "cidr" | "inet" => "inet".to_owned(),
            "timestamp with time zone" | "timestamp without time zone" => "timestamp".to_owned(),
            base => base.to_owned(),
        }
    };
    family(from) == family(to)
}

/// Whether the type refuses values that its base takes.
pub(super) fn is_checked_domain(scene: &Scene, of: &DataType) -> bool {
    domain(scene, of).is_some_and(|domain| domain.checked)
}

/// A zone that has never been anything but UTC.
fn is_utc(zone: &str) -> bool {
    let names = [
        "utc",
        "gmt",
        "etc/utc",
        "etc/gmt",
        "zulu",
        "etc/zulu",
        "uct",
        "etc/uct",
        "universal",
        "greenwich",
    ];
    names.contains(&zone.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Schema;

    fn rewritten(zone: &str, from: &str, to: &str) -> bool {
        let schema = Schema {
            time_zone: zone.to_owned(),
            ..Schema::default()
        };
        is_rewritten(&Scene::new(&schema), &DataType::read(from), &DataType::read(to))
    }

    #[test]
    fn a_type_is_the_same_in_every_spelling() {
        assert_eq!(
            DataType::read("VARCHAR ( 20 )"),
            DataType::read("character varying(20)")
        );
        assert_eq!(
            DataType::read("timestamptz"),
            DataType::read("timestamp with time zone")
        );
        assert_eq!(DataType::read("timestamp(3) with time zone").modifier, [3]);
        assert_eq!(DataType::read("numeric(10,2)").modifier, [10, 2]);
        assert_ne!(DataType::read("int[]"), DataType::read("int"));
    }

    #[test]
    fn the_zone_decides_whether_a_timestamp_is_rewritten() {
        assert!(!rewritten("UTC", "timestamp", "timestamptz"));
        assert!(rewritten("Asia/Tokyo", "timestamp", "timestamptz"));
        assert!(rewritten("", "timestamp", "timestamptz"), "an unknown zone");
    }
}
