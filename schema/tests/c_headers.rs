//! Headers for C: the compiler finds every size and offset as it is said, in C and in C++.

mod common;

use ephapse_schema::{EventType, NotInC};
use proptest::prelude::*;
use std::fs;
use std::process::Command;

/// Has a compiler check all that a source file says.
fn compile(source: &str, compiler: &str, flags: &[&str]) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("types.c");
    fs::write(&path, source).unwrap();
    let all = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"];
    let output = Command::new(compiler).args(all).args(flags).arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said.lines().filter(|line| line.contains("error")).take(5).collect();
    assert!(output.status.success(), "{said}");
}

const IN_C: (&str, &[&str]) = ("cc", &["-std=c11", "-x", "c"]);
const IN_C99: (&str, &[&str]) = ("cc", &["-std=c99", "-x", "c"]);
const IN_CPP: (&str, &[&str]) = ("c++", &["-std=c++17", "-x", "c++"]);

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_compiler_agrees(texts in prop::collection::vec(common::flat(), 40)) {
        let mut source = String::new();
        let mut printed = 0;
        for (number, text) in texts.iter().enumerate() {
            let Ok(ty) = EventType::parse(&format!("robot.T{number}"), 1, text) else { continue };
            match ty.c_header() {
                Ok(header) => (source.push_str(&header), printed += 1).1,
                Err(error) => prop_assert!(matches!(error, NotInC::Empty { .. }), "{error}: {text}"),
            }
        }
        prop_assert!(printed > 5, "{printed}");
        for (compiler, flags) in [IN_C, IN_C99, IN_CPP] {
            compile(&source, compiler, flags);
        }
    }
}

#[test]
fn a_wrong_size_or_offset_is_seen_by_the_compiler() {
    let ty = EventType::parse("a.B", 1, "B{x:u8,y:u32}").unwrap();
    let header = ty.c_header().unwrap();
    for (right, wrong) in [("sizeof(a_B_t) == 8", "sizeof(a_B_t) == 5"), ("y) == 4", "y) == 1")] {
        assert!(header.contains(right), "{header}");
        let wrong = header.replace(right, wrong);
        assert!(std::panic::catch_unwind(|| compile(&wrong, IN_C.0, IN_C.1)).is_err());
    }
}

#[test]
fn it_reads_as_if_it_had_been_written_by_hand() {
    let text = "Pose{stamp_ns:u64,position:[f64;3],on:bool,class:char,limit:option<u16>,\
                pair:(u8,i32),mode:enum Mode{Idle,Run(u32),Go{x:u8,type:u64}},\
                sides:[enum Side{Buy=1,Sell};2],unit:Unit,part:Part{x:f32}}";
    let pose = EventType::parse("robot.Pose", 2, text).unwrap();
    let header = pose.c_header().unwrap();
    assert_eq!(header, include_str!("pose.h"));
    compile(&header, IN_C.0, IN_C.1);
}

#[test]
fn what_c_cannot_hold_is_named() {
    let say = |text: &str| match EventType::parse("a.B", 1, text).unwrap().c_header() {
        Ok(header) => panic!("{header}"),
        Err(error) => error.to_string(),
    };
    let error = say("B{id:u64,legs:[Leg{venue:string};2]}");
    assert!(error.starts_with("a.B.legs[].venue is `string`, which points"), "{error}");
    assert!(
        say("B{x:u8,nothing:[u64;0]}").starts_with("a.B.nothing is `[u64;0]`, which has no bytes")
    );
    let nothing = EventType::parse("a.Tick", 1, "Tick").unwrap().c_header().unwrap();
    assert!(nothing.contains("send it with length 0") && !nothing.contains("typedef"), "{nothing}");
    compile(&nothing, IN_C.0, &["-std=c11", "-x", "c", "-Wno-empty-translation-unit"]);
}
