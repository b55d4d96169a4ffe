use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

/// Where evidence is kept: `gs://BUCKET[/FOLDER]`, or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArchivePlace {
    Directory(PathBuf),
    Bucket { bucket: String, folder: String },
}

impl ArchivePlace {
    /// The folder of an incident there.
    pub(crate) fn folder(&self, incident: &str) -> String {
        match self {
            Self::Bucket { folder, .. } if !folder.is_empty() => format!("{folder}/{incident}"),
            _ => incident.to_owned(),
        }
    }
}

impl FromStr for ArchivePlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text {
                "" => Err("name a directory, or gs://BUCKET[/FOLDER]".to_owned()),
                directory => Ok(Self::Directory(directory.into())),
            };
        };
        let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
        match scheme {
            "gs" if !bucket.is_empty() => Ok(Self::Bucket {
                bucket: bucket.to_owned(),
                folder: folder.trim_end_matches('/').to_owned(),
            }),
            _ => Err("must be gs://BUCKET, gs://BUCKET/FOLDER or a directory".to_owned()),
        }
    }
}

impl fmt::Display for ArchivePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => directory.display().fmt(f),
            Self::Bucket { bucket, folder } if folder.is_empty() => write!(f, "gs://{bucket}"),
            Self::Bucket { bucket, folder } => write!(f, "gs://{bucket}/{folder}"),
        }
    }
}

impl Serialize for ArchivePlace {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_a_directory_or_a_mistake() {
        let read = |text: &str| text.parse::<ArchivePlace>();
        assert_eq!(read("vault/a").unwrap().folder("INC-7"), "INC-7");
        assert_eq!(read("gs://soul-kun").unwrap().folder("INC-7"), "INC-7");
        assert_eq!(read("gs://soul-kun/a/b/").unwrap().folder("INC-7"), "a/b/INC-7");
        for text in ["gs://soul-kun", "gs://soul-kun/a/b", "/mnt/vault"] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        for mistake in ["", "gs://", "gs:///a", "s3://bucket", "https://storage.example/b"] {
            assert!(read(mistake).is_err(), "{mistake}");
        }
    }
}
