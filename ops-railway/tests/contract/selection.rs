use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use apollo_compiler::executable::{Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use serde_json::Value;

/// Whether `data` is what `selection` asks for: every key and no other, null only where allowed, lists, enums, scalars.
pub(crate) fn check(schema: &Schema, selection: &SelectionSet, data: &Value) -> Result<(), String> {
    let object = data.as_object().ok_or("an object is expected")?;
    let mut asked = Vec::new();
    for field in &selection.selections {
        let Selection::Field(field) = field else {
            return Err("fragments are not used here".to_owned());
        };
        let key = field.response_key().as_str();
        let value = object.get(key).ok_or_else(|| format!("{key} is missing"))?;
        check_value(schema, &field.definition.ty, &field.selection_set, value)
            .map_err(|fault| format!("{key}: {fault}"))?;
        asked.push(key);
    }
    match object.keys().find(|key| !asked.contains(&key.as_str())) {
        Some(extra) => Err(format!("{extra} was not asked for")),
        None => Ok(()),
    }
}

fn check_value(schema: &Schema, ty: &Type, selection: &SelectionSet, value: &Value) -> Result<(), String> {
    if value.is_null() {
        return match ty.is_non_null() {
            true => Err(format!("null for {ty}")),
            false => Ok(()),
        };
    }
    let name = match ty {
        Type::List(inner) | Type::NonNullList(inner) => {
            let items = value.as_array().ok_or_else(|| format!("no list for {ty}"))?;
            return items
                .iter()
                .try_for_each(|item| check_value(schema, inner, selection, item));
        }
        Type::Named(name) | Type::NonNullNamed(name) => name,
    };
    let fits = match schema.types.get(name) {
        Some(ExtendedType::Object(_)) => return check(schema, selection, value),
        Some(ExtendedType::Enum(known)) => value.as_str().is_some_and(|text| known.values.contains_key(text)),
        Some(ExtendedType::Scalar(_)) => match name.as_str() {
            "Boolean" => value.is_boolean(),
            "Int" => value.is_i64(),
            "ID" | "String" | "DateTime" => value.is_string(),
            "JSON" | "DeploymentMeta" => true,
            _ => false,
        },
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err(format!("not a {ty}")),
    }
}
