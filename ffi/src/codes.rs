//! The ledger of error numbers. A number is never given to another error; a new error takes the
//! next one, here and in the header.

use std::ffi::CStr;

macro_rules! ledger {
    ($($code:ident = $number:literal $name:ident $text:literal)*) => {
        /// Why a call failed, as a number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(i32)]
        pub(crate) enum Code {
            $($code = -$number,)*
        }

        impl Code {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &[(Code, &str)] = &[$((Code::$code, stringify!($name)),)*];

            /// In a few words.
            pub(crate) fn text(self) -> &'static CStr {
                match self {
                    $(Code::$code => $text,)*
                }
            }

            /// The error of this number.
            pub(crate) fn of(number: i32) -> Option<Code> {
                $(if number == -$number { return Some(Code::$code); })*
                None
            }
        }
    };
}

ledger! {
    Invalid = 1 EPH_EINVAL c"an argument is not possible"
    Handle = 2 EPH_EHANDLE c"the handle is of another kind, or what it stood for has been freed"
    Busy = 3 EPH_EBUSY c"it is in use: by another thread, or by an event or loan that it has given"
    Forked = 4 EPH_EFORKED c"it was opened before fork, by the parent"
    Abi = 5 EPH_EABI c"the program was compiled for another version of the ABI"
    Internal = 6 EPH_EINTERNAL c"a fault of the library itself"
    TimedOut = 7 EPH_ETIMEDOUT c"it did not happen in time"
    Closed = 8 EPH_ECLOSED c"the hub is closed"
    Full = 9 EPH_EFULL c"the ring is full: who reads has not made room in time"
    TooLarge = 10 EPH_ETOOLARGE c"it is too long"
    PeerGone = 11 EPH_EPEERGONE c"the other hub is gone"
    LinkClosed = 12 EPH_ELINKCLOSED c"the link is closed"
    Corrupt = 13 EPH_ECORRUPT c"another hub's ring holds what no hub writes"
    Lagged = 14 EPH_ELAGGED c"events have been missed: their publisher was faster"
    Schema = 15 EPH_ESCHEMA c"the event is of another schema"
    Payload = 16 EPH_EPAYLOAD c"the payload is not a value of the type"
    NoResponders = 17 EPH_ENORESPONDERS c"nobody answers requests on the subject"
    NotARequest = 18 EPH_ENOTREQUEST c"the event expects no reply"
    NoSupervisor = 19 EPH_ENOSUPERVISOR c"the domain has no supervisor"
    SupervisorRunning = 20 EPH_ERUNNING c"the domain has a supervisor already"
    ForeignDirectory = 21 EPH_EFOREIGNDIR c"the domain's directory belongs to somebody else"
    OpenDirectory = 22 EPH_EOPENDIR c"others may enter the domain's directory"
    Directory = 23 EPH_EDIRECTORY c"the domain's directory cannot be used"
    Version = 24 EPH_EVERSION c"the supervisor speaks another version of the protocol"
    Protocol = 25 EPH_EPROTOCOL c"another process does not keep to the protocol"
    Disconnected = 26 EPH_EDISCONNECTED c"the connection to the supervisor is lost"
    Segment = 27 EPH_ESEGMENT c"shared memory could not be made, or was not accepted"
    Kernel = 28 EPH_EKERNEL c"a call to the kernel failed"
    Limit = 29 EPH_ELIMIT c"a limit is reached"
    Refused = 30 EPH_EREFUSED c"the supervisor or the other hub could not do it"
    Name = 31 EPH_ENAME c"no hub can have the name"
    Subject = 32 EPH_ESUBJECT c"it is not a subject, or not a pattern"
    NameTaken = 33 EPH_ENAMETAKEN c"another hub has the name"
    NoHub = 34 EPH_ENOHUB c"no hub has the name"
    SameHub = 35 EPH_ESAMEHUB c"a hub cannot have a link with itself"
    Linked = 36 EPH_ELINKED c"the two hubs have a link already"
    Declined = 37 EPH_EDECLINED c"the other hub does not want it"
    HubGone = 38 EPH_EHUBGONE c"the other hub went away in between"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs were compiled with these.
    #[test]
    fn numbers_are_what_they_have_always_been() {
        let header = include_str!("../include/ephapse.h");
        let line = |line: &str| {
            let (name, number) =
                line.strip_prefix("#define EPH_E")?.split_once(char::is_whitespace)?;
            let number = number.trim().strip_prefix("(-")?.split(')').next()?;
            Some((format!("EPH_E{name}"), -number.parse::<i32>().ok()?))
        };
        let declared: Vec<_> = header.lines().filter_map(line).collect();
        let ours: Vec<_> =
            Code::ALL.iter().map(|(code, name)| ((*name).to_owned(), *code as i32)).collect();
        assert_eq!(declared, ours);
        let numbers: Vec<_> = ours.iter().map(|(_, number)| *number).collect();
        assert_eq!(numbers, (1..=38).map(|number| -number).collect::<Vec<_>>());
        assert!(
            ours.iter().all(|(_, number)| Code::of(*number).is_some_and(|c| c as i32 == *number))
        );
        assert_eq!((Code::of(0), Code::of(-39), Code::of(i32::MIN)), (None, None, None));
    }
}
