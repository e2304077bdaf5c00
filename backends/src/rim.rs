//! The rim between the engine's threads and OpenDAL's tasks.
//!
//! One runtime and one HTTP client serve every backend of the process until it ends: connections
//! that wait in the client's pool belong to the runtime they were made in, and would break for
//! the others if it were dropped with a backend.
use crate::classify::Failure;
use crate::open::OpenError;
use devsnap_engine::backend::BackendErrorKind;
use devsnap_engine::interrupt::Interrupt;
use opendal::HttpTransporter;
use opendal_http_transport_reqwest::ReqwestTransport;
use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// They only move bytes and wait; the engine's own threads do the work.
const WORKERS: usize = 2;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Shorter than what common load balancers (60 s) and S3 itself close idle connections after.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();

/// Starts the runtime and the HTTP client, once.
pub(crate) fn prepare() -> Result<(), OpenError> {
    let started = RUNTIME.get_or_init(|| start().map_err(|e| e.to_string()));
    let failed = |e: &String| OpenError::Settings(format!("could not start the HTTP client: {e}"));
    started.as_ref().map(|_| ()).map_err(failed)
}

fn start() -> Result<Runtime, Box<dyn std::error::Error>> {
    // Another part of the program may have chosen one before; any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build()?;
    HttpTransporter::install_default(ReqwestTransport::new(client));
    Ok(Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("devsnap-http")
        .enable_all()
        .build()?)
}

/// How often it is looked whether somebody wants to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long an answer is still waited for then. A service that answers at all does within that.
const LET_GO_AFTER: Duration = Duration::from_secs(2);

/// As [`block_on`], for what may end anywhere: reads, listings, removals, marks. Once `interrupt` is raised it is
/// waited for a moment only, and then let go of. What else is uploaded then was paid for, and is waited for.
///
/// # Errors
///
/// [`Interrupted`](BackendErrorKind::Interrupted).
pub(crate) fn unless_stopped<T>(
    interrupt: &Interrupt,
    future: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let wants_to_stop = async {
        while !interrupt.is_raised() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        tokio::time::sleep(LET_GO_AFTER).await;
    };
    block_on(async {
        tokio::select! {
            biased;
            done = future => done,
            () = wants_to_stop => Err(BackendErrorKind::Interrupted.into()),
        }
    })
}

/// Waits on the calling thread, which must not be one of the runtime's own.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = RUNTIME.get().and_then(|started| started.as_ref().ok());
    runtime.expect("because a backend is opened only after `prepare`").block_on(future)
}
