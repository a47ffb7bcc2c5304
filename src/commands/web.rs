//! `psi-shazam web`: the page with one button.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::cli::{self, WebArgs};
use crate::output::plain;
use crate::reach;
use crate::web::{self, App, PageToken};

pub fn run(args: &WebArgs) -> Result<ExitCode> {
    if !args.listen.ip().is_loopback() && !args.expose {
        bail!(
            "{} can be reached by other machines, and the connection would not be encrypted; listen on 127.0.0.1 or \
             [::1], or pass --expose if an HTTPS proxy is in front",
            args.listen
        );
    }
    // Errors in these are reported here rather than on the page.
    reach::token(&args.whom)?;
    if args.whom.server.is_none() {
        cli::database_folder(&args.db)?;
    }
    tokio::runtime::Runtime::new()?.block_on(serve(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(args: &WebArgs) -> Result<()> {
    let listener = listen(args.listen).await?;
    let (token, text) = PageToken::draw();
    let whom = match &args.whom.server {
        Some(server) => plain(server),
        None => format!("the database in {}", cli::database_folder(&args.db)?.display()),
    };
    // Printed at once: the reader may take the address and leave.
    let lines = format!(
        "open    http://{}/#{text}\nasking  {whom}\n\
         Anybody who has this address can ask through this program. Ctrl-C ends it.\n",
        listener.local_addr()?
    );
    std::io::stdout().write_all(lines.as_bytes())?;
    let app = App {
        whom: args.whom.clone(),
        db: args.db.clone(),
        token,
        expose: args.expose,
        turn: Mutex::new(()),
    };
    tokio::select! {
        served = web::serve(listener, Arc::new(app)) => Ok(served?),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow::anyhow!(
            "{address} is taken, perhaps by another psi-shazam web; choose another port, such as --listen {}:0",
            address.ip()
        ),
        _ => error.into(),
    })
    .with_context(|| format!("cannot serve the page on {address}"))
}
