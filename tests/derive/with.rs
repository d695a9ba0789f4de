// What `with` makes of a field cannot be seen in the field's type.

#[derive(ephapse::Event, rkyv::Archive, rkyv::Serialize)]
struct Shot {
    #[rkyv(with = rkyv::with::AsBox)]
    frame: u64,
    #[event(layout = "box<u64>")]
    #[rkyv(with = rkyv::with::AsBox)]
    described: u64,
}

fn main() {}
