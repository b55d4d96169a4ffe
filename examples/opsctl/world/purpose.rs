/// What a verb is going to do with the world: how it is opened follows from it.
///
/// The stores keep their contracts either way. What differs is what may be changed in a database before the verb has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It looks. Our schema is left as it is, no role is made and no right is given; where the schema is missing or older, what needs it says so. A request for an
    /// approval, the record of who has read the trail, and what waits in a spool are written as ever, where the schema is current and the login may.
    Look,
    /// It acts. Our schema is brought up to date, and the role that writes the audit trail is made and given its rights.
    Act,
}

impl Purpose {
    /// To act, if `acts`.
    pub(crate) fn to_act_if(acts: bool) -> Self {
        if acts { Self::Act } else { Self::Look }
    }
}
