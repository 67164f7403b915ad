//! HTTP and WebSocket on one port, with the limits that keep one client from hurting others.

use crate::{
    error::{Error, LIMIT_EXCEEDED},
    limits::RateLimiter,
    metrics::Metrics,
    EthRpcConfig,
};
use futures::{future::BoxFuture, FutureExt};
use hyper::{
    body::Incoming,
    header::{HeaderMap, HeaderValue, CONTENT_TYPE, ORIGIN},
    Method, Request, StatusCode,
};
use jsonrpsee::{
    core::{traits::IdProvider, BoxError},
    server::{
        middleware::{
            http::HostFilterLayer,
            rpc::{RpcServiceBuilder, RpcServiceT},
        },
        serve_with_graceful_shutdown, stop_channel, ws, BatchRequestConfig, HttpBody, HttpResponse,
        MethodResponse, Methods, PingConfig, Server, ServerHandle,
    },
    types::{ErrorObjectOwned, Request as Call, SubscriptionId},
    Extensions,
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;
use tower::Service;
use tower_http::cors::{AllowOrigin, CorsLayer};

const MEGABYTE: u32 = 1024 * 1024;
/// Messages waiting for a slow WebSocket reader.
const BUFFERED_MESSAGES: u32 = 1_024;

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(IpAddr);

impl ClientAddress {
    /// The address of the client a call came from, `None` within the process.
    pub(crate) fn of(extensions: &Extensions) -> Option<IpAddr> {
        extensions.get::<Self>().map(|address| address.0)
    }
}

/// Which pages a browser may let call this server.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origins {
    Any,
    These(Vec<HeaderValue>),
}

impl Origins {
    fn parse(given: Option<&[String]>) -> Result<Self, Error> {
        let Some(given) = given else { return Ok(Self::Any) };
        if given.iter().any(|origin| origin == "*" || origin == "all") {
            return Ok(Self::Any);
        }
        let parse = |origin: &String| {
            let value = HeaderValue::from_str(origin)
                .ok()
                .filter(|_| origin.contains("://"));
            value.ok_or_else(|| Error::Origin(origin.clone()))
        };
        given.iter().map(parse).collect::<Result<_, _>>().map(Self::These)
    }

    /// What browsers are told about HTTP.
    fn layer(&self) -> CorsLayer {
        match self {
            Self::Any => CorsLayer::permissive(),
            Self::These(origins) => CorsLayer::new()
                .allow_origin(AllowOrigin::list(origins.clone()))
                .allow_methods([Method::POST])
                .allow_headers([CONTENT_TYPE]),
        }
    }

    /// Whether a WebSocket may be opened. Browsers let any page open one, so this server has to look at the page's origin
    /// itself; clients other than browsers name none, and pages on this machine are a developer's own.
    fn may_open_websocket(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else {
            return true;
        };
        match self {
            Self::Any => true,
            Self::These(origins) => origins.contains(origin) || origin.to_str().is_ok_and(is_loopback_page),
        }
    }
}

fn is_loopback_page(origin: &str) -> bool {
    let Some(authority) = origin.strip_prefix("http://").or(origin.strip_prefix("https://")) else {
        return false;
    };
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => authority.split(':').next(),
    };
    ["localhost", "127.0.0.1", "::1"].contains(&host.unwrap_or_default())
}

/// Subscription ids as Ethereum nodes give them: hex quantities that cannot be guessed.
#[derive(Debug)]
struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Str(format!("{:#x}", rand::random::<u128>()).into())
    }
}

/// Takes the port.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|cause| Error::Listen { address, cause })
}

/// The server as a task, and the handle that stops it.
pub(crate) fn serve(
    listener: TcpListener,
    config: &EthRpcConfig,
    methods: impl Into<Methods>,
    metrics: Option<Metrics>,
) -> Result<(BoxFuture<'static, ()>, ServerHandle), Error> {
    let methods: Methods = methods.into();
    let origins = Arc::new(Origins::parse(config.cors.as_deref())?);
    // A name that points to this machine must not make a browser take a foreign page for one of its own.
    let only_local_names = config.listen.ip().is_loopback() && *origins != Origins::Any;
    let port = listener
        .local_addr()
        .map_or(config.listen.port(), |address| address.port());
    let host_filter = only_local_names
        .then(|| {
            HostFilterLayer::new([
                format!("localhost:{port}"),
                format!("127.0.0.1:{port}"),
                format!("[::1]:{port}"),
            ])
        })
        .transpose()
        .map_err(|error| Error::Chain(format!("its own address is no host name: {error}")))?;
    let limiter = config
        .rate_limit_per_minute
        .map(|limit| Arc::new(RateLimiter::new(limit)));

    let http = tower::ServiceBuilder::new()
        .option_layer(host_filter)
        .layer(origins.layer());
    let builder = Server::builder()
        .max_request_body_size(config.max_request_size_mb.saturating_mul(MEGABYTE))
        .max_response_body_size(config.max_response_size_mb.saturating_mul(MEGABYTE))
        .max_connections(config.max_connections)
        .max_subscriptions_per_connection(config.max_subscriptions_per_connection)
        .set_batch_request_config(match config.max_batch {
            0 => BatchRequestConfig::Disabled,
            most => BatchRequestConfig::Limit(most),
        })
        .set_message_buffer_capacity(BUFFERED_MESSAGES)
        .set_id_provider(HexIds)
        .enable_ws_ping(
            PingConfig::new()
                .ping_interval(Duration::from_secs(30))
                .inactive_limit(Duration::from_secs(60))
                .max_failures(3),
        )
        .set_http_middleware(http)
        .to_service_builder();

    let (stop, handle) = stop_channel();
    let task = async move {
        loop {
            let (socket, client) = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Mostly too many open files: wait for some to close instead of spinning.
                        log::warn!(target: "eth-rpc", "A connection could not be accepted: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                () = stop.clone().shutdown() => return,
            };
            let (builder, methods, stop, origins) =
                (builder.clone(), methods.clone(), stop.clone(), origins.clone());
            let (limiter, metrics) = (limiter.clone(), metrics.clone());
            let until_stop = stop.clone().shutdown();
            let service = tower::service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(ClientAddress(client.ip()));
                let refused =
                    ws::is_upgrade_request(&request) && !origins.may_open_websocket(request.headers());
                let guard = Guard {
                    address: client.ip(),
                    limiter: limiter.clone(),
                    metrics: metrics.clone(),
                };
                let rpc = RpcServiceBuilder::new().layer_fn(move |service| Guarded {
                    service,
                    guard: guard.clone(),
                });
                let mut service = builder
                    .clone()
                    .set_rpc_middleware(rpc)
                    .build(methods.clone(), stop.clone());
                async move {
                    if refused {
                        let words = "this page may not open a WebSocket here; see --eth-rpc-cors\n";
                        let mut response = HttpResponse::new(HttpBody::from(words));
                        *response.status_mut() = StatusCode::FORBIDDEN;
                        return Ok::<_, BoxError>(response);
                    }
                    service.call(request).await
                }
            });
            tokio::spawn(serve_with_graceful_shutdown(socket, service, until_stop));
        }
    };
    Ok((task.boxed(), handle))
}

/// What stands before each call.
#[derive(Clone)]
struct Guard {
    address: IpAddr,
    limiter: Option<Arc<RateLimiter>>,
    metrics: Option<Metrics>,
}

impl Guard {
    /// The error for a call too many.
    fn refusal(&self) -> Option<ErrorObjectOwned> {
        let limiter = self.limiter.as_ref()?;
        let wait = limiter.take(self.address, Instant::now()).err()?;
        Some(ErrorObjectOwned::owned(
            LIMIT_EXCEEDED,
            format!(
                "rate limit exceeded: at most {} calls a minute from one address; try again in {} seconds",
                limiter.per_minute(),
                wait.as_secs() + 1
            ),
            None::<()>,
        ))
    }

    fn count(&self, outcome: &str) {
        if let Some(metrics) = &self.metrics {
            metrics.calls.with_label_values(&[outcome]).inc();
        }
    }
}

struct Guarded<S> {
    service: S,
    guard: Guard,
}

impl<'a, S> RpcServiceT<'a> for Guarded<S>
where
    S: RpcServiceT<'a> + Send + Sync + Clone + 'static,
{
    type Future = BoxFuture<'a, MethodResponse>;

    fn call(&self, call: Call<'a>) -> Self::Future {
        let (service, guard) = (self.service.clone(), self.guard.clone());
        async move {
            if let Some(refusal) = guard.refusal() {
                guard.count("limited");
                return MethodResponse::error(call.id, refusal);
            }
            let response = service.call(call).await;
            guard.count(if response.is_success() { "ok" } else { "error" });
            response
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;
    use serde_json::{json, Value};
    use std::num::NonZeroU32;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    struct Running {
        address: SocketAddr,
        handle: ServerHandle,
        task: tokio::task::JoinHandle<()>,
    }

    async fn start(change: impl FnOnce(&mut EthRpcConfig)) -> Running {
        let mut config = EthRpcConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            ..EthRpcConfig::default()
        };
        change(&mut config);
        let listener = listen(config.listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let node = TestNode::new();
        node.sync();
        let (task, handle) = serve(listener, &config, node.eth().module().unwrap(), None).unwrap();
        Running {
            address,
            handle,
            task: tokio::spawn(task),
        }
    }

    /// Sends raw HTTP and returns status line, headers and body as they came.
    async fn http(address: SocketAddr, method: &str, headers: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "{method} / HTTP/1.1\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await;
        answer
    }

    async fn post(address: SocketAddr, extra: &str, body: Value) -> String {
        let headers = format!("Host: {address}\r\nContent-Type: application/json\r\n{extra}");
        http(address, "POST", &headers, &body.to_string()).await
    }

    fn call(method: &str) -> Value {
        json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [] })
    }

    fn result(answer: &str) -> Value {
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        serde_json::from_str(body).unwrap_or(Value::Null)
    }

    const UPGRADE: &str =
        "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
                           AAAAAAAAAAAAAAAAAAAAAA==\r\n";

    async fn upgrade(address: SocketAddr, origin: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\n{UPGRADE}{origin}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn calls_and_batches_should_be_answered_up_to_the_limit() {
        let server = start(|config| config.max_batch = 2).await;
        let answer = post(server.address, "", call("eth_chainId")).await;
        assert_eq!(result(&answer)["result"], "0x27613");
        let two = json!([call("eth_chainId"), call("net_version")]);
        assert_eq!(
            result(&post(server.address, "", two).await)
                .as_array()
                .unwrap()
                .len(),
            2
        );
        let three = json!([call("eth_chainId"), call("eth_chainId"), call("eth_chainId")]);
        let error = &result(&post(server.address, "", three).await)["error"];
        assert!(error["message"].as_str().unwrap().contains("batch"), "{error}");
    }

    #[tokio::test]
    async fn calls_above_the_rate_should_be_refused_over_http_too() {
        let server = start(|config| config.rate_limit_per_minute = NonZeroU32::new(3)).await;
        for _ in 0..3 {
            assert_eq!(
                result(&post(server.address, "", call("eth_chainId")).await)["result"],
                "0x27613"
            );
        }
        let error = &result(&post(server.address, "", call("eth_chainId")).await)["error"];
        assert_eq!(error["code"], LIMIT_EXCEEDED);
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("at most 3 calls a minute"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn browsers_should_be_kept_out_unless_their_page_is_named() {
        let server = start(|_| ()).await;
        let page = "Origin: https://evil.example\r\n";
        let answer = post(server.address, page, call("eth_chainId"))
            .await
            .to_lowercase();
        assert!(!answer.contains("access-control-allow-origin"), "{answer}");
        assert!(upgrade(server.address, page).await.ends_with("403"));
        assert!(upgrade(server.address, "").await.ends_with("101"));
        assert!(upgrade(server.address, "Origin: http://localhost:3000\r\n")
            .await
            .ends_with("101"));

        let server = start(|config| config.cors = Some(vec!["https://app.example".into()])).await;
        let page = "Origin: https://app.example\r\n";
        let preflight = format!(
            "Host: {}\r\n{page}Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n",
            server.address
        );
        let answer = http(server.address, "OPTIONS", &preflight, "")
            .await
            .to_lowercase();
        assert!(
            answer.contains("access-control-allow-origin: https://app.example"),
            "{answer}"
        );
        assert!(
            answer.contains("access-control-allow-headers: content-type"),
            "{answer}"
        );
        assert!(upgrade(server.address, page).await.ends_with("101"));
        assert!(upgrade(server.address, "Origin: https://evil.example\r\n")
            .await
            .ends_with("403"));
    }

    #[tokio::test]
    async fn foreign_host_names_should_be_refused_on_loopback() {
        let server = start(|_| ()).await;
        let headers = format!(
            "Host: evil.example:{}\r\nContent-Type: application/json\r\n",
            server.address.port()
        );
        let answer = http(server.address, "POST", &headers, &call("eth_chainId").to_string()).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }

    #[tokio::test]
    async fn busy_port_should_be_an_error_that_names_it() {
        let server = start(|_| ()).await;
        let error = listen(server.address).await.unwrap_err().to_string();
        assert!(error.contains(&server.address.port().to_string()), "{error}");
    }

    #[tokio::test]
    async fn server_should_stop_when_told_and_free_its_port() {
        let server = start(|_| ()).await;
        server.handle.stop().unwrap();
        tokio::time::timeout(Duration::from_secs(10), server.task)
            .await
            .unwrap()
            .unwrap();
        assert!(listen(server.address).await.is_ok());
    }

    #[tokio::test]
    async fn too_large_a_request_should_be_refused() {
        let server = start(|config| config.max_request_size_mb = 1).await;
        let large = "x".repeat(1_100_000);
        let mut request = call("web3_sha3");
        request["params"] = json!([format!("0x{large}")]);
        let answer = post(server.address, "", request).await;
        assert!(
            answer.starts_with("HTTP/1.1 413") || result(&answer)["error"]["code"] == -32007,
            "{answer}"
        );
    }

    #[test]
    fn origins_should_be_urls_and_loopback_pages_recognised() {
        assert!(matches!(
            Origins::parse(Some(&["app".into()])),
            Err(Error::Origin(_))
        ));
        assert_eq!(Origins::parse(Some(&["all".into()])).unwrap(), Origins::Any);
        assert_eq!(Origins::parse(None).unwrap(), Origins::Any);
        assert_eq!(
            Origins::parse(EthRpcConfig::default().cors.as_deref()).unwrap(),
            Origins::These(vec![])
        );
        for page in [
            "http://localhost",
            "https://localhost:8080",
            "http://127.0.0.1:3000",
            "http://[::1]:5173",
        ] {
            assert!(is_loopback_page(page), "{page}");
        }
        for page in [
            "http://localhost.evil.example",
            "null",
            "http://127.0.0.1.evil",
            "chrome-extension://abc",
        ] {
            assert!(!is_loopback_page(page), "{page}");
        }
    }

    #[test]
    fn subscription_ids_should_be_hex_and_differ() {
        let (SubscriptionId::Str(one), SubscriptionId::Str(two)) = (HexIds.next_id(), HexIds.next_id())
        else {
            panic!("ids are not strings");
        };
        assert!(one.starts_with("0x") && u128::from_str_radix(&one[2..], 16).is_ok());
        assert_ne!(one, two);
    }
}
