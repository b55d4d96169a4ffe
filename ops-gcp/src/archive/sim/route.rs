use ops_core::testkit::SimRequest;

/// What a request is about.
#[derive(Debug)]
pub(super) enum Route {
    Permissions { bucket: String },
    Begin { bucket: String },
    Session { id: String },
    Object { bucket: String, name: String },
}

impl Route {
    pub(super) fn of(request: &SimRequest) -> Option<Self> {
        let parts: Vec<_> = request.path.trim_start_matches('/').split('/').collect();
        match (request.method.as_str(), &parts[..]) {
            ("GET", ["storage", "v1", "b", bucket, "iam", "testPermissions"]) => Some(Self::Permissions {
                bucket: (*bucket).to_owned(),
            }),
            ("POST", ["upload", "storage", "v1", "b", bucket, "o"]) => Some(Self::Begin {
                bucket: (*bucket).to_owned(),
            }),
            ("PUT" | "DELETE", ["upload", "storage", "v1", "b", _, "o"]) => Some(Self::Session {
                id: request.query("upload_id")?.to_owned(),
            }),
            // A slash in the name that is not escaped is another path.
            ("GET" | "PATCH" | "DELETE", ["storage", "v1", "b", bucket, "o", name]) => Some(Self::Object {
                bucket: (*bucket).to_owned(),
                name: name.replace("%2F", "/").replace("%2f", "/"),
            }),
            _ => None,
        }
    }

    pub(super) fn known_query(&self) -> &'static [&'static str] {
        match self {
            Self::Permissions { .. } => &["permissions"],
            Self::Begin { .. } => &["uploadType", "name", "ifGenerationMatch"],
            Self::Session { .. } => &[],
            Self::Object { .. } => &[
                "alt",
                "ifGenerationMatch",
                "ifMetagenerationMatch",
                "overrideUnlockedRetention",
            ],
        }
    }
}
