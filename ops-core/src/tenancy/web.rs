use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::{Entry, Membership, RequestedTenant, TENANT_HEADER, Tenancy, TenantContext, TenantDenial};
use crate::model::{Actor, Lang};

/// Who was authenticated. The application's authentication puts it into the extensions of the request, beside the [`Tenancy`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Principal {
    /// Who.
    pub actor: Actor,
    /// Where the person belongs to.
    pub memberships: Vec<Membership>,
}

impl Principal {
    /// Somebody who was authenticated.
    pub fn new(actor: Actor, memberships: Vec<Membership>) -> Self {
        Self { actor, memberships }
    }
}

/// Why a request does not get to its handler. Its answer is JSON with `error` and `message`, the same for a tenant of others and for
/// one that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TenantRejection {
    /// Nobody was authenticated: 401.
    NotAuthenticated,
    /// The extensions hold no [`Tenancy`]; nothing is let in: 500.
    NotConfigured,
    /// 400 for a header that cannot be used, else 403.
    Denied(TenantDenial),
}

/// The tenant that the request may work for: `async fn list(context: TenantContext)`.
impl<S: Send + Sync> FromRequestParts<S> for TenantContext {
    type Rejection = TenantRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, TenantRejection> {
        let tenancy = parts
            .extensions
            .get::<Tenancy>()
            .ok_or(TenantRejection::NotConfigured)?;
        let principal = parts
            .extensions
            .get::<Principal>()
            .ok_or(TenantRejection::NotAuthenticated)?;
        let values = parts.headers.get_all(TENANT_HEADER).iter();
        let asked = RequestedTenant::from_values(values.map(|value| value.as_bytes()));
        match tenancy.enter(principal.actor.clone(), &principal.memberships, asked) {
            Entry::Entered(context) => Ok(context),
            Entry::Denied(denial) => Err(TenantRejection::Denied(denial)),
        }
    }
}

impl IntoResponse for TenantRejection {
    fn into_response(self) -> Response {
        let denied = TenantDenial::NotAMember;
        let (status, error, denial) = match self {
            Self::NotAuthenticated => (StatusCode::UNAUTHORIZED, "not_authenticated", denied),
            Self::NotConfigured => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error", denied),
            Self::Denied(denial) if denial.is_malformed() => {
                (StatusCode::BAD_REQUEST, "tenant_not_named", denial)
            }
            Self::Denied(denial) => (StatusCode::FORBIDDEN, "tenant_access_denied", denial),
        };
        let text = denial.text();
        let body = serde_json::json!({"error": error, "message": text.get(Lang::Ja)});
        (status, Json(body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::http::Request;

    use super::*;
    use crate::model::{PermissionLevel, TenantId};

    async fn enter(headers: &[&str], known: bool) -> Result<String, TenantRejection> {
        let mut request = Request::builder().uri("/");
        for value in headers {
            request = request.header(TENANT_HEADER, *value);
        }
        if known {
            let mine = Membership::new(TenantId::new("org_a").unwrap(), PermissionLevel::LOWEST);
            request = request.extension(Principal::new(Actor::person("usr_1").unwrap(), vec![mine]));
        }
        let (mut parts, ()) = request.extension(Tenancy::multi()).body(()).unwrap().into_parts();
        let context = TenantContext::from_request_parts(&mut parts, &()).await?;
        Ok(context.tenant().to_string())
    }

    #[tokio::test]
    async fn a_request_enters_its_own_tenant_only() {
        assert_eq!(enter(&["org_a"], true).await, Ok("org_a".to_owned()));
        assert_eq!(enter(&[], true).await, Ok("org_a".to_owned()));
        assert_eq!(
            enter(&["org_a"], false).await,
            Err(TenantRejection::NotAuthenticated)
        );
        assert_eq!(
            enter(&["org_a", "org_b"], true).await,
            Err(TenantRejection::Denied(TenantDenial::Unreadable))
        );
        let mut answers = Vec::new();
        for foreign in ["org_b", "org_that_is_not_there"] {
            let response = enter(&[foreign], true).await.unwrap_err().into_response();
            let status = response.status();
            answers.push((status, to_bytes(response.into_body(), 1_000).await.unwrap()));
        }
        assert_eq!(
            answers[0], answers[1],
            "an answer tells nothing about what exists"
        );
        assert_eq!(answers[0].0, StatusCode::FORBIDDEN);
    }
}
