// An archived form of another type, or one laid out anew, is not the type's own.

#[derive(rkyv::Archive, rkyv::Serialize)]
struct Wire {
    x: u8,
}

#[derive(ephapse::Schema, rkyv::Archive, rkyv::Serialize)]
#[rkyv(as = ArchivedWire)]
struct Point {
    x: u8,
}

#[derive(ephapse::Schema, rkyv::Archive, rkyv::Serialize)]
#[rkyv(attr(repr(align(64))))]
struct Line {
    x: u8,
}

fn main() {}
