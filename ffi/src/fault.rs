//! Why a call failed: a number of the ledger, and what there is to say beside it.

use crate::codes::Code;
use ephapse::event::ExtensionTooLong;
use ephapse::{Error, RecvError, RefusalCode, RequestError, SendError};
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};

/// Why a call failed. Small, because every call gives one or none.
#[derive(Debug)]
pub(crate) enum Fault {
    /// With nothing to say beside the number: for what happens all the time.
    Bare(Code),
    Told(Box<Told>),
}

/// An error, and what its message says beside the number.
#[derive(Debug)]
pub(crate) struct Told {
    code: Code,
    why: String,
}

impl From<Code> for Fault {
    #[inline(always)]
    fn from(code: Code) -> Self {
        Self::Bare(code)
    }
}

impl Fault {
    /// With a reason.
    #[cold]
    pub(crate) fn new(code: Code, why: impl Into<String>) -> Self {
        Self::Told(Box::new(Told { code, why: why.into() }))
    }

    /// Which one it is.
    fn code(&self) -> Code {
        match self {
            Self::Bare(code) => *code,
            Self::Told(told) => told.code,
        }
    }

    /// Whether it is one of these.
    pub(crate) fn is(&self, code: Code) -> bool {
        self.code() == code
    }

    fn told(code: Code, error: &dyn std::error::Error) -> Self {
        Self::new(code, error.to_string())
    }

    /// Of an argument.
    #[cold]
    pub(crate) fn invalid(why: impl Into<String>) -> Self {
        Self::new(Code::Invalid, why)
    }

    /// Of the library.
    pub(crate) fn internal(why: &str) -> Self {
        Self::new(Code::Internal, why)
    }
}

/// What the last failed call of a thread left.
#[derive(Default)]
struct Last {
    code: Option<Code>,
    /// Empty if there is nothing to say beside the code.
    message: CString,
}

/// Numbers that belong to an error, beside its code.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Numbers {
    /// Events that were missed.
    pub missed: u64,
    /// The link that is over.
    pub link: u64,
}

thread_local! {
    static LAST: RefCell<Last> = RefCell::default();
    static NUMBERS: RefCell<Numbers> = RefCell::default();
}

impl Fault {
    /// Keeps it for [`message`], and gives its number.
    #[inline(never)]
    pub(crate) fn keep(self) -> i32 {
        let code = self.code();
        // A thread that is ending has nobody left to ask.
        let _ = LAST.try_with(|last| {
            let mut last = last.borrow_mut();
            last.code = Some(code);
            match self {
                Self::Bare(_) if last.message.is_empty() => {}
                Self::Bare(_) => last.message = CString::default(),
                Self::Told(told) => last.message = without_zeros(told.why.as_bytes()),
            }
        });
        code as i32
    }
}

fn without_zeros(text: &[u8]) -> CString {
    let text: Vec<u8> = text.iter().copied().filter(|byte| *byte != 0).collect();
    CString::new(text).unwrap_or_default()
}

/// What the last failed call of this thread has to say; valid until the next one fails.
pub(crate) fn message() -> *const c_char {
    let message = LAST.try_with(|last| {
        let last = last.borrow();
        match last.code {
            None => c"no call of this thread has failed".as_ptr(),
            Some(code) if last.message.is_empty() => code.text().as_ptr(),
            Some(_) => last.message.as_ptr(),
        }
    });
    message.unwrap_or(<&CStr>::default().as_ptr())
}

/// The numbers of the last error that had any.
pub(crate) fn numbers() -> Numbers {
    NUMBERS.try_with(|numbers| *numbers.borrow()).unwrap_or_default()
}

fn with_numbers(numbers: Numbers) {
    let _ = NUMBERS.try_with(|kept| *kept.borrow_mut() = numbers);
}

impl From<SendError> for Fault {
    #[cold]
    fn from(error: SendError) -> Self {
        let code = match &error {
            // Happens all the time to who looks without waiting.
            SendError::Full => return Code::Full.into(),
            SendError::TooLarge { .. } | SendError::TooLargeToPublish { .. } => Code::TooLarge,
            SendError::PeerGone { .. } => Code::PeerGone,
            SendError::Closed { .. } => Code::LinkClosed,
            SendError::HubClosed => Code::Closed,
            SendError::ReaderLied { .. } => Code::Protocol,
            SendError::Unserialisable { .. } => Code::Payload,
            SendError::Busy => Code::Busy,
            SendError::Forked => Code::Forked,
            _ => Code::Internal,
        };
        Self::told(code, &error)
    }
}

impl From<RecvError> for Fault {
    #[cold]
    fn from(error: RecvError) -> Self {
        let code = match &error {
            RecvError::PeerGone { .. } => Code::PeerGone,
            RecvError::LinkClosed { .. } => Code::LinkClosed,
            RecvError::Corrupt { .. } | RecvError::SourceCorrupt { .. } => Code::Corrupt,
            RecvError::Lagged { .. } => Code::Lagged,
            RecvError::Forked => Code::Forked,
            _ => Code::Internal,
        };
        match &error {
            RecvError::Lagged { missed, .. } => with_numbers(Numbers { missed: *missed, link: 0 }),
            RecvError::PeerGone { link, .. }
            | RecvError::LinkClosed { link, .. }
            | RecvError::Corrupt { link, .. } => {
                with_numbers(Numbers { missed: 0, link: link.number() });
            }
            _ => {}
        }
        Self::told(code, &error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let code = match error {
            Error::Send(error) => return error.into(),
            Error::Refused { code, .. } => refusal(code),
            Error::NoSupervisor { .. } => Code::NoSupervisor,
            Error::SupervisorRunning { .. } => Code::SupervisorRunning,
            Error::ForeignDirectory { .. } => Code::ForeignDirectory,
            Error::OpenDirectory { .. } => Code::OpenDirectory,
            Error::Directory { .. } => Code::Directory,
            Error::Version { .. } => Code::Version,
            Error::Protocol(_) => Code::Protocol,
            Error::Disconnected { .. } => Code::Disconnected,
            Error::TimedOut { .. } => Code::TimedOut,
            Error::Segment { .. } => Code::Segment,
            Error::Kernel { .. } => Code::Kernel,
            Error::LimitReached { .. } => Code::Limit,
            Error::NotARequest { .. } => Code::NotARequest,
            Error::Closed => Code::Closed,
            Error::Forked => Code::Forked,
            _ => Code::Internal,
        };
        Self::told(code, &error)
    }
}

fn refusal(code: RefusalCode) -> Code {
    match code {
        RefusalCode::InvalidName => Code::Name,
        RefusalCode::InvalidSubject => Code::Subject,
        RefusalCode::NameTaken => Code::NameTaken,
        RefusalCode::UnknownHub => Code::NoHub,
        RefusalCode::SameHub => Code::SameHub,
        RefusalCode::AlreadyLinked => Code::Linked,
        RefusalCode::Declined => Code::Declined,
        RefusalCode::HubGone => Code::HubGone,
        RefusalCode::LimitReached => Code::Limit,
        _ => Code::Refused,
    }
}

impl From<RequestError> for Fault {
    fn from(error: RequestError) -> Self {
        let code = match error {
            RequestError::Failed(error) => return error.into(),
            RequestError::Receive(error) => return error.into(),
            RequestError::NoResponders { .. } => Code::NoResponders,
            RequestError::TimedOut { .. } => Code::TimedOut,
            _ => Code::Internal,
        };
        Self::told(code, &error)
    }
}

impl From<ExtensionTooLong> for Fault {
    fn from(error: ExtensionTooLong) -> Self {
        Self::told(Code::TooLarge, &error)
    }
}
