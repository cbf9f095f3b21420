//! The project's own chores.

mod crds;

fn main() -> anyhow::Result<()> {
    crds::run(std::env::args().any(|arg| arg == "--check"))
}
