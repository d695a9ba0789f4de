//! Loans: memory that the caller writes and then sends.

use crate::codes::Code;
use crate::event::{Timeout, release};
use crate::fault::Fault;
use crate::memory::Out;
use crate::objects::{KIND_LOAN, Lent};
use crate::publisher::send_draft;
use crate::table::enter_lent;
use crate::types::{LoanView, Sent};

entries! {
    fn eph_loan_send(loan: Out<LoanView>, len: usize, timeout_ns: i64, sent: Out<Sent>) {
        let place = sent.clear_if_wanted("sent")?;
        let timeout = Timeout::of(timeout_ns)?;
        let Some(view) = loan.peek("loan")? else { return Err(Fault::invalid("loan is NULL")) };
        let mut borrowed = enter_lent(view.handle, KIND_LOAN)?;
        let result = match borrowed.get() {
            Some(Lent::Draft(_, lent)) if len > *lent => return Err(too_much(len, *lent)),
            Some(Lent::Loan(lent)) if len > lent.len() => return Err(too_much(len, lent.len())),
            // If there is no room the loan stays, to be sent again.
            Some(Lent::Draft(publisher, _)) => send_draft(publisher, len, timeout)?,
            Some(Lent::Loan(_)) => Sent { path: 1, receivers: 1 },
            _ => return Err(Code::Handle.into()),
        };
        borrowed.give_back(|lent| {
            if let Lent::Loan(loan) = lent {
                loan.send_len(len);
            }
        });
        loan.clear("loan")?;
        place.into_iter().for_each(|place| place.set(result));
        Ok(())
    }

    fn eph_loan_discard(loan: Out<LoanView>) {
        release(loan, KIND_LOAN, "loan", |loan| loan.handle)
    }
}

fn too_much(len: usize, lent: usize) -> Fault {
    Fault::invalid(format!("{len} bytes cannot be sent of a loan of {lent}"))
}
