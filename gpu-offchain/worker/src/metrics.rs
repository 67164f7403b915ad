//! What the worker counts, in Prometheus' text format.

use crate::state::{lock, Worker};
use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        atomic::{AtomicU64, Ordering},
        Mutex,
    },
    time::Duration,
};

/// Upper bounds of the attribution delay's buckets, in milliseconds.
const DELAYS: [u64; 10] = [10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000];

/// What answers to requests are counted by: port, method, route, status.
type Answers = (&'static str, String, String, u16);

/// Counters that no part of the program has of its own.
#[derive(Default)]
pub(crate) struct Metrics {
    delays: [AtomicU64; DELAYS.len()],
    attributed: AtomicU64,
    delay_ms: AtomicU64,
    failures: AtomicU64,
    /// Answers to requests.
    http: Mutex<BTreeMap<Answers, u64>>,
}

impl Metrics {
    /// A receipt was signed so long after its answer's last token.
    pub(crate) fn attributed(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        for (bound, count) in DELAYS.iter().zip(&self.delays) {
            if millis <= *bound {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.attributed.fetch_add(1, Ordering::Relaxed);
        self.delay_ms.fetch_add(millis, Ordering::Relaxed);
    }

    /// An attribution failed and is tried again.
    pub(crate) fn attribution_failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was answered.
    pub(crate) fn answered(&self, port: &'static str, method: &str, route: &str, status: u16) {
        let key = (port, method.to_owned(), route.to_owned(), status);
        *lock(&self.http).entry(key).or_default() += 1;
    }
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(
            self.0,
            "# HELP openledger_{name} {help}\n# TYPE openledger_{name} {kind}"
        );
    }

    fn value(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "openledger_{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, "gauge", help);
        self.value(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, "counter", help);
        self.value(name, "", value);
    }
}

/// The page that Prometheus reads.
pub(crate) fn page(worker: &Worker) -> crate::Result<String> {
    let mut page = Page(String::new());
    let own = &worker.metrics;
    let load = |count: &AtomicU64| count.load(Ordering::Relaxed);

    let queue = worker.scheduler.stats();
    page.gauge("queue_waiting", "Requests that wait for a place.", queue.waiting);
    page.gauge("answers_running", "Choices under way.", queue.running);
    page.counter("steps_total", "Steps of the engine.", queue.steps);
    page.counter("tokens_total", "Tokens given.", queue.tokens);
    page.counter(
        "refused_total",
        "Requests refused because the queue was full.",
        queue.refused,
    );
    page.head("step_choices", "histogram", "Choices in a step of the engine.");
    let mut below = 0;
    for (power, count) in queue.batches.iter().enumerate() {
        below += count;
        page.value(
            "step_choices_bucket",
            &format!("{{le=\"{}\"}}", 1_u64 << power),
            below,
        );
    }
    page.value("step_choices_bucket", "{le=\"+Inf\"}", queue.steps);
    page.value("step_choices_sum", "", queue.rows);
    page.value("step_choices_count", "", queue.steps);

    let (hits, asked) = worker.base.engine.prefix_hits();
    page.counter("prompt_tokens_total", "Tokens of prompts.", asked);
    page.counter(
        "prompt_tokens_reused_total",
        "Tokens of prompts found in the prefix cache.",
        hits,
    );
    let (room, capacity) = worker.base.engine.room();
    page.gauge("cache_tokens_free", "Tokens for which the cache has room.", room);
    page.gauge("cache_tokens", "Tokens the cache holds.", capacity);
    let adapters = worker.base.engine.adapter_stats();
    page.gauge("adapters", "Adapters that are registered.", adapters.registered);
    page.gauge(
        "adapters_on_device",
        "Adapters on the device.",
        adapters.on_device,
    );
    page.gauge("adapters_device_bytes", "Their bytes.", adapters.device_bytes);
    page.gauge(
        "adapters_host_bytes",
        "Bytes of adapters kept on the host.",
        adapters.host_bytes,
    );
    page.counter(
        "adapter_uploads_total",
        "Adapters copied to the device.",
        adapters.uploads,
    );
    page.counter("adapter_reads_total", "Adapters read from disk.", adapters.reads);

    page.gauge(
        "generations",
        "Generations that can answer.",
        worker.serving.list().len(),
    );
    page.gauge(
        "answers_without_receipt",
        "Answers that wait for their receipts.",
        worker.db.unattributed()?.len(),
    );
    page.gauge(
        "receipts_without_batch",
        "Receipts that no batch has.",
        worker.db.unbatched(usize::MAX)?.len(),
    );
    page.counter(
        "attribution_failures_total",
        "Attributions that are tried again.",
        load(&own.failures),
    );
    page.head(
        "attribution_delay_seconds",
        "histogram",
        "From an answer's last token to its receipt.",
    );
    for (bound, count) in DELAYS.iter().zip(&own.delays) {
        let labels = format!("{{le=\"{}\"}}", *bound as f64 / 1e3);
        page.value("attribution_delay_seconds_bucket", &labels, load(count));
    }
    page.value(
        "attribution_delay_seconds_bucket",
        "{le=\"+Inf\"}",
        load(&own.attributed),
    );
    page.value(
        "attribution_delay_seconds_sum",
        "",
        load(&own.delay_ms) as f64 / 1e3,
    );
    page.value("attribution_delay_seconds_count", "", load(&own.attributed));

    page.head("http_requests_total", "counter", "Answers to requests.");
    for ((port, method, route, status), count) in lock(&own.http).iter() {
        let labels = format!("{{port=\"{port}\",method=\"{method}\",route=\"{route}\",status=\"{status}\"}}");
        page.value("http_requests_total", &labels, count);
    }
    Ok(page.0)
}
