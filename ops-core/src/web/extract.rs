use std::marker::PhantomData;

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;

use super::{Denial, LimitGate};
use crate::model::{EndpointClass, LimitDecision};

/// A class as a type, for [`Within`].
pub trait ClassOf: Send + Sync + 'static {
    /// The class.
    const CLASS: EndpointClass;
}

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[expect(clippy::exhaustive_enums, reason = "there is no value of it")]
        pub enum $name {}

        impl ClassOf for $name {
            const CLASS: EndpointClass = EndpointClass::$name;
        }
    )*};
}

classes! {
    /// [`EndpointClass::Api`].
    Api,
    /// [`EndpointClass::Llm`].
    Llm,
    /// [`EndpointClass::Search`].
    Search,
    /// [`EndpointClass::Admin`].
    Admin,
}

/// An argument of a handler that lets it run only within the limits of a class: it counts the request, and answers with a [`Denial`] if it
/// is over one. The state of the router holds the [`LimitGate`].
#[derive(Debug)]
pub struct Within<C> {
    decision: LimitDecision,
    class: PhantomData<C>,
}

impl<C> Within<C> {
    /// What the limits said.
    pub fn decision(&self) -> &LimitDecision {
        &self.decision
    }
}

impl<S, C> FromRequestParts<S> for Within<C>
where
    LimitGate: FromRef<S>,
    S: Send + Sync,
    C: ClassOf,
{
    type Rejection = Denial;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Denial> {
        let decision = LimitGate::from_ref(state).admit(parts, C::CLASS).await?;
        Ok(Self {
            decision,
            class: PhantomData,
        })
    }
}
