//! Tests across crates.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod decoders;
#[cfg(test)]
mod deletion;
