//! The file conduit: the media folder, and the lock by which programs agree who syncs.
mod files;
mod packet;

use super::AFC;
use crate::connection::Connection;
use crate::phone::{Mishaps, Phone};
use files::Files;
use packet::{Reply, Request};
use std::io;
use std::sync::Arc;

/// Serves one connection to its end; what it had locked is free then.
pub(super) fn serve(connection: &mut dyn Connection, phone: &Arc<Phone>) -> io::Result<()> {
    let mut mishaps = Mishaps::of(phone, AFC);
    let mut files = Files::new(phone);
    while let Some(request) = Request::receive(connection)? {
        let reply = files.answer(&request).unwrap_or_else(|status| Reply::Status(status.code()));
        mishaps.strike()?;
        reply.send(connection, request.number)?;
    }
    Ok(())
}
