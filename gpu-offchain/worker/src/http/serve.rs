//! Connections: how many, from whom, and how slow they may be.

use super::limits::Peer;
use crate::{error::Error, state::lock};
use axum::Router;
use hyper::{body::Incoming, server::conn::http1, service::Service, Request};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    collections::HashMap,
    future::Future,
    io,
    net::IpAddr,
    pin::{pin, Pin},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::Sleep,
};

/// Connections together.
const MOST: usize = 2_048;
/// Connections of one address that is not this machine's.
const MOST_EACH: usize = 64;
/// Time in which a request's head must have come; also how long an idle connection is kept.
const HEAD: Duration = Duration::from_secs(30);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;
/// Headers of a request.
const HEADERS: usize = 100;
/// Time in which a client must have read something that is sent to it.
const STALL: Duration = Duration::from_secs(60);

/// What a connection too many is told.
fn full() -> String {
    let error = Error::Later("too many connections are open: close one and try again".into(), 5);
    let body = super::error_body(&error).1.to_string();
    format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 5\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A connection that is given up when its client reads nothing for [`STALL`].
struct Patient {
    inner: TcpStream,
    until: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn watch<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.until = None;
            return polled;
        }
        let until = self
            .until
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
        match until.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(cx, polled)
    }
}

/// Connections of each address.
#[derive(Default)]
struct Open {
    all: Mutex<(usize, HashMap<IpAddr, usize>)>,
}

struct Held {
    open: Arc<Open>,
    address: IpAddr,
}

impl Open {
    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Held> {
        let mut all = lock(&self.all);
        let each = all.1.get(&address).copied().unwrap_or(0);
        if all.0 >= MOST || (each >= MOST_EACH && !address.is_loopback()) {
            return None;
        }
        all.0 += 1;
        all.1.insert(address, each + 1);
        Some(Held {
            open: self.clone(),
            address,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut all = lock(&self.open.all);
        all.0 -= 1;
        if let Some(each) = all.1.get_mut(&self.address) {
            *each -= 1;
            if *each == 0 {
                all.1.remove(&self.address);
            }
        }
    }
}

/// Serves until `stop` turns true and the last request has been answered.
pub(crate) async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let open = Arc::new(Open::default());
    let (done, mut all_done) = tokio::sync::mpsc::channel::<()>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or the caller is gone already.
                tracing::debug!(%error, "a connection was not taken");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let address = peer.ip().to_canonical();
        let Some(held) = open.take(address) else {
            // A new connection has room for this; who does not read it is not waited for.
            let _ = stream.try_write(full().as_bytes());
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (router, stop, done) = (router.clone(), stop.clone(), done.clone());
        tokio::spawn(async move {
            connection(stream, address, router, stop).await;
            drop((held, done));
        });
    }
    drop((listener, done));
    let _ = all_done.recv().await;
}

/// The routes, which learn who calls.
struct Known {
    router: TowerToHyperService<Router>,
    address: IpAddr,
}

impl Service<Request<Incoming>> for Known {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(Peer(self.address));
        self.router.call(request)
    }
}

async fn connection(stream: TcpStream, address: IpAddr, router: Router, mut stop: watch::Receiver<bool>) {
    let service = Known {
        router: TowerToHyperService::new(router),
        address,
    };
    let io = TokioIo::new(Patient {
        inner: stream,
        until: None,
    });
    let mut serving = pin!(http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(io, service));
    tokio::select! {
        _ = serving.as_mut() => return,
        () = told(&mut stop) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_of_connections_and_gives_them_back() {
        let open = Arc::new(Open::default());
        let [other, own]: [IpAddr; 2] = ["192.0.2.1", "127.0.0.1"].map(|text| text.parse().unwrap());
        let held: Vec<_> = (0..MOST_EACH).map(|_| open.take(other).unwrap()).collect();
        assert!(open.take(other).is_none());
        let more: Vec<_> = (MOST_EACH..MOST).map(|_| open.take(own).unwrap()).collect();
        assert!(open.take(own).is_none());
        drop((held, more));
        assert!(lock(&open.all).1.is_empty());
        open.take(other).unwrap();
    }
}
