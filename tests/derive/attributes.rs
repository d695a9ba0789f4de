// All mistakes of a type are shown at once, each at its place.

#[derive(ephapse::Event, rkyv::Archive, rkyv::Serialize)]
#[event(nmae = "robot.Mode", version = 1, version = 2)]
enum Mode {
    #[event(layout = "u8")]
    Idle,
    Run(#[event(flat)] u32),
    Go {
        #[event(layout = "")]
        x: u8,
    },
}

#[derive(ephapse::Schema)]
#[event(version = 2)]
struct Part;

fn main() {}
