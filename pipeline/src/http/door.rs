//! The door: the address that HTTP is answered on, and what stands in its way.
//!
//! Opened again and again until it is open: an address that is taken today is free tomorrow. Each new trouble is logged once. The address that
//! was opened is written to `http.addr` in the state directory, for scripts that let the system choose a port.

use super::identity::acceptor;
use super::server::serve;
use super::web::Web;
use crate::config::Http;
use crate::control::ControlHandler;
use crate::service::Service;
use crate::status::{HttpReport, Trouble};
use landfall_connectors::failure::Failure;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Between two tries to open.
const RETRY: Duration = Duration::from_secs(5);
/// Name of the file that holds the address.
const FILE: &str = "http.addr";

/// Where HTTP is answered, or why it is not.
#[derive(Debug, Default)]
pub struct Door(Mutex<Option<HttpReport>>);

impl Door {
    /// As `status` shows it; `None`: not asked for.
    pub fn report(&self) -> Option<HttpReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, report: HttpReport) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }

    fn is_closed_by(&self, trouble: &Trouble) -> bool {
        self.report().and_then(|report| report.trouble).as_ref() == Some(trouble)
    }
}

/// Opens the door and answers until the service stops.
pub(super) async fn open_and_serve<H: ControlHandler>(
    service: Arc<Service>,
    http: Http,
    state_dir: PathBuf,
    web: Web<H>,
) -> Result<(), Failure> {
    let stop = service.supervisor.stop();
    service.door.set(HttpReport::default());
    let file = state_dir.join(FILE);
    // One that a process left that was killed names an address of nobody, or of somebody else.
    let _ = std::fs::remove_file(&file);
    loop {
        match open(&http).await {
            Ok((listener, tls, address)) => {
                let written = std::fs::write(&file, format!("{address}\n"));
                if let Err(error) = written {
                    tracing::warn!(code = "http_addr", "{} cannot be written: {}", file.display(), error.kind());
                }
                tracing::info!(%address, tls = tls.is_some(), "http is answered");
                service.door.set(HttpReport { address: Some(address), trouble: None });
                serve(&listener, tls.as_ref(), &web, stop).await;
                let _ = std::fs::remove_file(&file);
                return Ok(());
            }
            Err(trouble) => {
                if !service.door.is_closed_by(&trouble) {
                    tracing::error!(code = %trouble.code, "http is not answered: {}", trouble.detail);
                }
                service.door.set(HttpReport { address: None, trouble: Some(trouble) });
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

type Opened = (TcpListener, Option<TlsAcceptor>, String);

async fn open(http: &Http) -> Result<Opened, Trouble> {
    let trouble = |code: &str, detail: String| Trouble { code: code.to_owned(), detail };
    let tls = http.tls.as_ref().map(acceptor).transpose().map_err(|detail| trouble("http_tls_unusable", detail))?;
    let refused = |error: io::Error| {
        let detail = format!("{} cannot be listened on: {}; it is tried again", http.listen, error.kind());
        let code = if error.kind() == io::ErrorKind::AddrInUse { "http_address_taken" } else { "http_address_refused" };
        trouble(code, detail)
    };
    let listener = TcpListener::bind(http.listen).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?.to_string();
    Ok((listener, tls, address))
}
