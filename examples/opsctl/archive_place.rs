use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ops_core::ports::ArchiveName;
use serde::Serialize;

use crate::exit::Failure;

/// Where evidence is kept: `gs://BUCKET[/FOLDER]`, or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArchivePlace {
    Directory(PathBuf),
    Bucket { bucket: String, folder: String },
}

impl ArchivePlace {
    /// The folder of an incident there.
    ///
    /// # Errors
    /// Usage, where no file of it can be named in an archive.
    pub(crate) fn folder(&self, incident: &str) -> Result<String, Failure> {
        let folder = match self {
            Self::Bucket { folder, .. } if !folder.is_empty() => format!("{folder}/{incident}"),
            _ => incident.to_owned(),
        };
        match ArchiveName::new(format!("{folder}/{LONGEST}")) {
            Ok(_) => Ok(folder),
            Err(_) => Err(Failure::usage(
                format!("an archive cannot have a folder {folder}"),
                "use letters, digits, `.`, `_` and `-` with `/` between them, 150 characters at most, no part with a dot in front, in PLACE and the id of the incident",
            )),
        }
    }
}

/// As long as what is put into a folder.
const LONGEST: &str = "part-0000000001.zst-and-what-else-there-may-be";

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
        assert_eq!(
            read("vault/a").unwrap().folder("INC-7").ok().as_deref(),
            Some("INC-7")
        );
        assert_eq!(
            read("gs://soul-kun").unwrap().folder("INC-7").ok().as_deref(),
            Some("INC-7")
        );
        assert_eq!(
            read("gs://soul-kun/a/b/")
                .unwrap()
                .folder("INC-7")
                .ok()
                .as_deref(),
            Some("a/b/INC-7")
        );
        for text in ["gs://soul-kun", "gs://soul-kun/a/b", "/mnt/vault"] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        let long = format!("gs://soul-kun/{}", "a".repeat(190));
        for folder in [
            "gs://soul-kun/../x",
            "gs://soul-kun/a b",
            "gs://soul-kun//x",
            &long,
        ] {
            assert!(read(folder).unwrap().folder("INC-7").is_err(), "{folder}");
        }
        assert!(read("vault").unwrap().folder("INC 7").is_err());
        for mistake in ["", "gs://", "gs:///a", "s3://bucket", "https://storage.example/b"] {
            assert!(read(mistake).is_err(), "{mistake}");
        }
    }
}
