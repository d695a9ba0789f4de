// An event is one type with one layout.

#[derive(ephapse::Event, rkyv::Archive, rkyv::Serialize)]
struct Boxed<T, const N: usize> {
    value: [T; N],
}

fn main() {}
