use super::{at, fresh, ok, refused};
use crate::error::ErrorKind;
use crate::model::{NewTenant, TenantId, TenantState};
use crate::ports::{TenantCreated, TenantDirectory};

/// The contract of [`TenantDirectory`]. It makes tenants that nobody else has.
///
/// # Panics
/// With the clause that `port` breaks.
pub async fn tenant_directory(port: &dyn TenantDirectory) {
    let new = new(&fresh("org"));
    assert_eq!(
        ok("find", port.find(&new.id).await),
        None,
        "a tenant that was never made must not be found"
    );
    refused(
        "delete of an unknown tenant",
        ErrorKind::NotFound,
        port.delete(&new.id, at(1)).await,
    );
    refused(
        "undelete of an unknown tenant",
        ErrorKind::NotFound,
        port.undelete(&new.id).await,
    );

    let made = ok("create", port.create(&new, at(2)).await);
    assert!(
        matches!(made, TenantCreated::Made(_)),
        "the first create must make it"
    );
    let tenant = made.tenant().clone();
    assert_eq!(
        (tenant.state, tenant.created_at),
        (TenantState::Active, at(2)),
        "a tenant begins active"
    );
    let mut other_name = new.clone();
    other_name.name = "another name".to_owned();
    let again = ok("create again", port.create(&other_name, at(3)).await);
    assert_eq!(
        again,
        TenantCreated::AlreadyThere(tenant.clone()),
        "create again must leave it as it is"
    );
    assert_eq!(
        ok("find", port.find(&new.id).await),
        Some(tenant.clone()),
        "find must give what was made"
    );

    let deleted = ok("delete", port.delete(&new.id, at(4)).await);
    assert_eq!(
        (deleted.state, deleted.deleted_at),
        (TenantState::Deleted, Some(at(4))),
        "delete is logical"
    );
    let again = ok("delete again", port.delete(&new.id, at(9)).await);
    assert_eq!(again.deleted_at, Some(at(4)), "the first delete counts");
    refused(
        "create of a deleted tenant",
        ErrorKind::Conflict,
        port.create(&new, at(5)).await,
    );
    assert_eq!(
        ok("undelete", port.undelete(&new.id).await),
        tenant,
        "undelete must give back what was there"
    );
    ok("undelete of an active tenant", port.undelete(&new.id).await);

    let second = self::new(&fresh("org"));
    let (left, right) = tokio::join!(port.create(&second, at(6)), port.create(&second, at(7)));
    let made = [ok("create at once", left), ok("create at once", right)]
        .iter()
        .filter(|created| matches!(created, TenantCreated::Made(_)))
        .count();
    assert_eq!(made, 1, "of two creates at once exactly one must make it");
    let listed = ok("list", port.list().await);
    assert!(
        listed.is_sorted_by_key(|tenant| tenant.id.clone()),
        "list must be by id"
    );
    let ours = listed
        .iter()
        .filter(|tenant| tenant.id == new.id || tenant.id == second.id)
        .count();
    assert_eq!(ours, 2, "list must give every tenant once");
}

fn new(id: &str) -> NewTenant {
    let id = TenantId::new(id).unwrap_or_else(|_| unreachable!("a fresh name is an id"));
    NewTenant::new(id, "株式会社〇〇", "admin@customer.example")
        .unwrap_or_else(|_| unreachable!("as written above"))
}
