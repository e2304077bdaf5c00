//! Tests across crates.

#[cfg(test)]
mod architecture;
