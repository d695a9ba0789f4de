// A union does not say which of its fields it holds.

#[derive(ephapse::Schema)]
union Either {
    signed: i32,
    unsigned: u32,
}

fn main() {}
