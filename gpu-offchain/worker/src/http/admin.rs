//! The operator's port: metrics, and with a key adapters. It listens on loopback only.
//!
//! Adapters that are loaded here lie in one folder and answer here alone, without payment: nobody's records are credited for them.
//! Generations of the chain can be taken out of service here and put back.

use super::{
    api::{any_text, object, Api, Op},
    ask,
    body::{Octets, Path},
    say::{self, Kind, Name},
    Answer, Shared,
};
use crate::{
    answer::{self, now, Ended, Piece},
    error::{Error, Result},
    formats::hex0x,
    jobs, metrics,
    state::Worker,
};
use axum::{
    extract::{Request, State},
    http::{header, HeaderMap},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    Json, Router,
};
use openledger_engine::Model;
use openledger_model::Adapter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};
use tokio::{sync::mpsc, task::block_in_place};

/// An adapter to be loaded: an own one, or a generation that was taken out of service.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Load {
    Own {
        /// The name to answer to; without a colon.
        name: String,
        /// A folder in the worker's folder `own`, in PEFT's layout.
        folder: String,
        /// Keep it on the device.
        #[serde(default)]
        pinned: bool,
    },
    Generation {
        /// The model.
        model: u64,
        /// Its generation.
        generation: u32,
    },
}

/// An adapter that can be asked for.
#[derive(Serialize, JsonSchema)]
struct Loaded {
    /// Its name, or `model:generation`.
    name: String,
    /// Hash of its content.
    adapter: String,
}

/// All of them.
#[derive(Serialize, JsonSchema)]
struct List {
    adapters: Vec<Loaded>,
}

/// What became of an adapter.
#[derive(Serialize, JsonSchema)]
struct Outcome {
    name: String,
    /// `loaded` or `unloaded`.
    state: &'static str,
}

/// All routes of the operator's port. Only who shows `key` reaches more than the metrics.
pub(crate) fn router(worker: &Arc<Worker>, key: &str) -> Router {
    let key: Arc<str> = key.into();
    let with_key = Api::default()
        .get(
            "/v1/adapters",
            list,
            Op::new("Adapters that can be asked for")
                .keyed()
                .gives::<List>(200),
        )
        .post(
            "/v1/adapters",
            load,
            Op::new(
                "Loads an adapter from the worker's folder `own`, or puts a generation back into service",
            )
            .keyed()
            .takes::<Load>()
            .gives::<Outcome>(200)
            .fails(&[400, 404, 503]),
        )
        .delete(
            "/v1/adapters/{name}",
            unload,
            Op::new("Unloads an adapter, or takes a generation out of service until it is loaded again")
                .keyed()
                .gives::<Outcome>(200)
                .fails(&[404]),
        )
        .post(
            "/v1/chat/completions",
            chat,
            Op::new("Asks an adapter that was loaded here; nothing is paid and nobody is credited")
                .keyed()
                .takes::<ask::ChatRequest>()
                .gives::<say::ChatCompletion>(200)
                .streams::<say::ChatChunk>()
                .fails(&[400, 404, 413]),
        );
    let metrics = Api::default()
        .get(
            "/metrics",
            show_metrics,
            Op::new("Counters in Prometheus' text format").gives_text(200, "text/plain"),
        )
        .get(
            "/openapi.json",
            super::document,
            Op::new("This document").gives_like(200, object(&[("openapi", any_text())])),
        );
    let (closed, mut paths) = with_key.finish();
    let (open, more) = metrics.finish();
    paths.merge(more);
    let closed = closed.layer(middleware::from_fn(
        move |headers: HeaderMap, request: Request, next: Next| {
            let key = key.clone();
            async move {
                match admitted(&headers, &key) {
                    Ok(()) => next.run(request).await,
                    Err(error) => error.into_response(),
                }
            }
        },
    ));
    let router = closed.merge(open);
    let document = paths.document("The operator's port of an OpenLedger worker");
    super::finish(worker, "operator", router, document)
}

fn admitted(headers: &HeaderMap, key: &str) -> Result<()> {
    use subtle::ConstantTimeEq;
    let shown = super::text(headers, header::AUTHORIZATION.as_str())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    if bool::from(shown.trim().as_bytes().ct_eq(key.as_bytes())) {
        return Ok(());
    }
    Err(Error::Unauthorized(
        "the operator's key is missing or wrong: send `authorization: Bearer KEY` with what stands in DATA/admin.key".into(),
    ))
}

async fn show_metrics(State(worker): Shared) -> Answer<Response> {
    let page = metrics::page(&worker)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], page).into_response())
}

async fn list(State(worker): Shared) -> Json<List> {
    let all = worker.base.engine.adapters().into_iter();
    let adapters = all.map(|(name, hash)| Loaded {
        name,
        adapter: hex0x(hash),
    });
    Json(List {
        adapters: adapters.collect(),
    })
}

/// A folder in the folder of the operator's own adapters, links resolved.
fn inside(data: &FilePath, folder: &str) -> Result<PathBuf> {
    let plain = !folder.is_empty() && !folder.starts_with('.') && !folder.contains(['/', '\\', '\0']);
    if !plain {
        return Err(Error::Request(format!(
            "{folder:?} is no plain name of a folder: put the adapter into DATA/own and name its folder"
        )));
    }
    let own = data.join("own");
    let missing = |_| Error::Missing(format!("there is no folder {folder:?} in {}", own.display()));
    let (root, path) = (
        own.canonicalize().map_err(missing)?,
        own.join(folder).canonicalize().map_err(missing)?,
    );
    if path.parent() != Some(&root) || !path.is_dir() {
        return Err(Error::Request(format!(
            "{folder:?} leads out of {}: put the adapter itself there",
            own.display()
        )));
    }
    Ok(path)
}

async fn load(State(worker): Shared, Octets(body): Octets) -> Answer<Json<Outcome>> {
    let name = match ask::parse(&body)? {
        Load::Own { name, folder, pinned } => {
            let named = (1..=64).contains(&name.len())
                && !name.contains([':', '/'])
                && !name.chars().any(char::is_control);
            if !named {
                return Err(Error::Request(format!(
                    "{name:?} is no name for an adapter: use 1 to 64 bytes without colon and slash"
                )));
            }
            let path = inside(&worker.config.data, &folder)?;
            let own = worker.clone();
            let read = tokio::task::spawn_blocking(move || {
                let adapter = Adapter::load(&path, own.base.net.config()).map_err(|error| {
                    Error::Request(format!("the adapter in {folder:?} cannot be served: {error}"))
                })?;
                Ok::<_, Error>((path, adapter.hash()))
            });
            let (path, hash) = read
                .await
                .map_err(|error| Error::part("reading an adapter", error))??;
            worker.base.engine.register_folder(&name, hash, &path);
            worker.base.engine.pin(&name, pinned)?;
            tracing::info!(name, adapter = hex0x(hash), "an adapter was loaded");
            name
        }
        Load::Generation { model, generation } => {
            worker.serving.allow(model, generation);
            jobs::activate(&worker).await?;
            let served = worker.serving.get(model, generation).ok_or_else(|| {
                Error::Missing(format!(
                    "generation {generation} of model {model} is not here or the chain has not accepted it"
                ))
            })?;
            let folder = worker.config.adapter_dir(&served.adapter);
            worker
                .base
                .engine
                .register_folder(&served.id(), served.adapter, &folder);
            served.id()
        }
    };
    Ok(Json(Outcome {
        name,
        state: "loaded",
    }))
}

async fn unload(State(worker): Shared, Path(name): Path<String>) -> Answer<Json<Outcome>> {
    let generation = name
        .split_once(':')
        .and_then(|(model, generation)| Some((model.parse().ok()?, generation.parse().ok()?)));
    let was_there = match generation {
        Some((model, generation)) => {
            worker.serving.withdraw(model, generation) && worker.base.engine.unregister(&name)
        }
        None => worker.base.engine.unregister(&name),
    };
    if !was_there {
        return Err(Error::Missing(format!(
            "no adapter {name:?} is loaded: see /v1/adapters"
        )));
    }
    tracing::info!(name, "an adapter was unloaded");
    Ok(Json(Outcome {
        name,
        state: "unloaded",
    }))
}

/// Answers from an own adapter. A name that is not loaded is refused: neither a generation nor the base answers for it.
async fn chat(State(worker): Shared, Octets(body): Octets) -> Answer<Response> {
    let read = block_in_place(|| ask::chat(&worker, &body))?;
    if read.model.contains(':') {
        return Err(Error::Request(format!(
            "{:?} is a generation: ask it at the public port and pay",
            read.model
        )));
    }
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| Error::part("random numbers", error))?;
    let wanted = read.wanted;
    let name = Name {
        kind: Kind::Chat,
        id: hex::encode(id),
        voucher: None,
        model: read.model.clone(),
        created: now(),
        n: usize::try_from(wanted.parameters.n).unwrap_or(1),
        include_usage: read.include_usage,
        tokenizer: worker.base.tokenizer.clone(),
    };
    let [a, b, c, d, e, f, g, h, ..] = id;
    let seed = wanted
        .seed
        .unwrap_or(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
    let ask = answer::ask_of(&wanted, Model::Adapter(read.model), seed, "operator".into());
    let asked = answer::submit(&worker, ask)?;
    let (send, pieces) = mpsc::unbounded_channel();
    let prompt = wanted.prompt.len();
    tokio::spawn(async move {
        let last = match answer::deliver(asked, wanted.likeliest.is_some(), &send).await {
            Ok((outputs, _)) => Piece::Done(Ended {
                prompt,
                output: outputs.iter().map(Vec::len).sum(),
                receipt: None,
            }),
            Err(error) => Piece::Failed(error),
        };
        let _ = send.send(last);
    });
    if read.stream {
        Ok(say::streamed(name, pieces))
    } else {
        say::whole(&name, pieces).await
    }
}

/// The operator's key in DATA/admin.key, made if it is not there.
pub(crate) fn key(data: &FilePath) -> Result<String> {
    use std::io::Write;
    let path = data.join("admin.key");
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().len() >= 32 => return Ok(text.trim().to_owned()),
        Ok(_) => {
            return Err(Error::Setup(format!(
                "{} has no key of at least 32 characters: remove it, and another is made",
                path.display()
            )))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::file("read", &path, error)),
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::part("random numbers", error))?;
    let key = hex::encode(bytes);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || -> std::io::Result<()> {
        let mut file = options.open(&path)?;
        writeln!(file, "{key}")?;
        file.sync_all()
    };
    write().map_err(|error| Error::file("write", &path, error))?;
    Ok(key)
}
