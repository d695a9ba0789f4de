//! The C ABI: what `include/ephapse.h` declares.
//!
//! The header is the documentation, of every function and of every error; here is only how it is
//! done. All of it uses the public Rust API.
//!
//! In reading order: `codes` (the ledger of error numbers), `fault` (why a call failed, and the last
//! message of each thread), `memory` (the pointers of C), `turn` (whose turn it is), `table` (handles),
//! `abi` (the entry to every function), `types` (the structs of the header), `objects` (what handles
//! stand for); then the functions, a file for each kind of object. The model checker sees `turn` alone.

#![deny(unsafe_code)]

#[cfg(not(ephapse_model))]
#[macro_use]
mod abi;
#[cfg(not(ephapse_model))]
mod base;
#[cfg(not(ephapse_model))]
mod codes;
#[cfg(not(ephapse_model))]
mod described;
#[cfg(not(ephapse_model))]
mod directory;
#[cfg(not(ephapse_model))]
mod event;
#[cfg(not(ephapse_model))]
mod fault;
#[cfg(not(ephapse_model))]
mod hub;
#[cfg(not(ephapse_model))]
mod link;
#[cfg(not(ephapse_model))]
mod loan;
#[cfg(not(ephapse_model))]
mod memory;
#[cfg(not(ephapse_model))]
mod objects;
#[cfg(not(ephapse_model))]
mod publisher;
#[cfg(not(ephapse_model))]
mod request;
#[cfg(not(ephapse_model))]
mod subscription;
#[cfg(not(ephapse_model))]
mod supervisor;
#[cfg(not(ephapse_model))]
mod table;
mod turn;
#[cfg(not(ephapse_model))]
mod types;
