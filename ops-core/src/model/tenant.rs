use super::string_id;

string_id! {
    /// The organisation that data belongs to.
    TenantId, "tenant id", 100
}
