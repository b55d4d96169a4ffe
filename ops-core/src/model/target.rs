use super::string_id;

string_id! {
    /// What a step acts on: `system:name`, for example `cloud-run:project/region/service` or `postgres:soul_kun`.
    ///
    /// Two providers that act on the same thing must use the same id: the journal keeps one prior state per target.
    TargetId, "target id", 200
}

impl TargetId {
    /// The part before the first colon, empty when there is none.
    pub fn system(&self) -> &str {
        self.as_str().split_once(':').map_or("", |(system, _)| system)
    }

    /// The part after the first colon, or the whole.
    pub fn name(&self) -> &str {
        self.as_str()
            .split_once(':')
            .map_or(self.as_str(), |(_, name)| name)
    }
}
