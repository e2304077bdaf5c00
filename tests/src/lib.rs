//! Tests across crates.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod deletion;
