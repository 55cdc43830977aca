//! An upstream in a process of its own, which can be killed: `upstream NAME` writes its address, and ends with its standard
//! input.

use std::io::{self, Read, Write};

use e2e::upstream::Upstream;
use tokio::runtime::Runtime;

fn main() -> io::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let runtime = Runtime::new()?;
    let upstream = runtime.block_on(Upstream::start(&name));
    writeln!(io::stdout(), "{}", upstream.address())?;
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
