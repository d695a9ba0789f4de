//! The C ABI: what `include/ephapse.h` declares.
//!
//! The header is the documentation, of every function and of every error; here is only how it is
//! done. All of it uses the public Rust API.
//!
//! In reading order: `codes` (the ledger of error numbers), `fault` (why a call failed, and the last
//! message of each thread), `memory` (the pointers of C), `table` (handles, and whose turn it is),
//! `abi` (the entry to every function), `types` (the structs of the header), `objects` (what handles
//! stand for); then the functions, a file for each kind of object.

#![deny(unsafe_code)]

#[macro_use]
mod abi;
mod base;
mod codes;
mod described;
mod directory;
mod event;
mod fault;
mod hub;
mod link;
mod loan;
mod memory;
mod objects;
mod publisher;
mod request;
mod subscription;
mod supervisor;
mod table;
mod types;
