//! Random stories of two machines that stop, die, take up and restore, and what must be true at their end.

mod machines;
mod play;
mod story;

pub(crate) use self::machines::Machines;
pub(crate) use self::play::{Seen, play};
pub(crate) use self::story::{Deed, Story, Trouble, story};
