use std::fmt;
use std::sync::mpsc;

use super::writer::{APPEND, start_thread};
use crate::durable::Medium;
use crate::error::{Error, ErrorKind, Result};

/// A file that is made and that no reader sees yet. Dropped, it is removed.
pub(super) struct Ready {
    pub(super) room: usize,
    show: Box<dyn FnOnce() -> Result<Box<dyn Medium>> + Send>,
}

/// Makes a file.
pub(super) type Make = Box<dyn FnMut(Room) -> Result<Ready> + Send>;

/// What a file is to be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) wanted: usize,
    pub(super) least: usize,
    /// Nothing waits for it yet.
    pub(super) ahead: bool,
}

/// Makes files in a thread of its own, so that the next one may be ready before the one before is full.
#[derive(Debug)]
pub(super) struct Ahead {
    ask: mpsc::Sender<Room>,
    made: mpsc::Receiver<Result<Ready>>,
    /// One was asked for and not taken.
    begun: bool,
}

impl Ready {
    /// One with so much room, that `show` gives its name. After an error of it, readers may see the file all the same.
    pub(super) fn new(room: usize, show: impl FnOnce() -> Result<Box<dyn Medium>> + Send + 'static) -> Self {
        let show = Box::new(show);
        Self { room, show }
    }

    /// Lets readers see it.
    pub(super) fn show(self) -> Result<Box<dyn Medium>> {
        (self.show)()
    }
}

impl Ahead {
    /// Starts the thread. It ends with this value; what was made and not taken is removed.
    pub(super) fn start(mut make: Make) -> Result<Self> {
        let (ask, asked) = mpsc::channel::<Room>();
        let (tell, made) = mpsc::channel();
        start_thread("ops-audit-room", move || {
            for room in asked {
                if tell.send(make(room)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self {
            ask,
            made,
            begun: false,
        })
    }

    /// Begins to make a file with this room and no less, unless that was begun before.
    pub(super) fn begin(&mut self, room: usize) {
        let room = Room {
            wanted: room,
            least: room,
            ahead: true,
        };
        self.begun = self.begun || self.ask.send(room).is_ok();
    }

    /// The file that was begun, if it has at least so much room, or a new one.
    pub(super) fn take(&mut self, wanted: usize, least: usize) -> Result<Ready> {
        if std::mem::take(&mut self.begun) {
            // One that could not be made then may be made now.
            match self.receive()? {
                Ok(ready) if ready.room >= least => return Ok(ready),
                _ => {}
            }
        }
        let room = Room {
            wanted,
            least,
            ahead: false,
        };
        self.ask.send(room).map_err(|_| ended())?;
        self.receive()?
    }

    fn receive(&self) -> Result<Result<Ready>> {
        self.made.recv().map_err(|_| ended())
    }
}

fn ended() -> Error {
    Error::new(ErrorKind::Unavailable, APPEND).context("cause", "the thread that makes files has ended")
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready")
            .field("room", &self.room)
            .finish_non_exhaustive()
    }
}
