use std::collections::BTreeMap;
use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor,
};

/// Reads a JSON object of texts into `map`. One with the names of before, as most records of a kind have, takes no memory of its own.
pub(super) fn read(text: &[u8], map: &mut BTreeMap<String, String>) -> Option<()> {
    if text == b"{}" {
        map.clear();
        return Some(());
    }
    if !map.is_empty() {
        let mut json = serde_json::Deserializer::from_slice(text);
        let read = (&mut json).deserialize_map(Same(map));
        if read.is_ok() && json.end().is_ok() {
            return Some(());
        }
    }
    // Other names, or no object at all.
    *map = serde_json::from_slice(text).ok()?;
    Some(())
}

/// An object that is there only when it holds something.
pub(super) fn read_some<T: DeserializeOwned>(
    field: Option<&[u8]>,
    map: &mut BTreeMap<String, T>,
) -> Option<()> {
    match field {
        None => map.clear(),
        Some(text) => *map = serde_json::from_slice(text).ok()?,
    }
    Some(())
}

/// An object with exactly these names, in this order.
struct Same<'a>(&'a mut BTreeMap<String, String>);

impl<'de> Visitor<'de> for Same<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the names of before")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        for (name, value) in self.0 {
            if object.next_key_seed(Name(name))?.is_none() {
                return Err(A::Error::custom("a name is missing"));
            }
            object.next_value_seed(Value(value))?;
        }
        match object.next_key::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("there are more names")),
        }
    }
}

struct Name<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of before")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        match text == self.0 {
            true => Ok(()),
            false => Err(E::custom("another name")),
        }
    }
}

struct Value<'a>(&'a mut String);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        write_over(self.0, text);
        Ok(())
    }
}

/// The text, in the memory of the one before.
pub(super) fn write_over(place: &mut String, text: &str) {
    place.clear();
    place.push_str(text);
}
