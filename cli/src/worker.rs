//! A worker's public HTTP interface.

use crate::{Error, Result};
use openledger_content::Cid;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read},
    time::Duration,
};
use ureq::{http::Response, Agent, Body};

/// Largest answer that is read into memory.
const MOST: u64 = 512 * 1024 * 1024;

/// Longest time until a whole answer is there.
const ANSWER: Duration = Duration::from_secs(1_200);

/// A worker, or whoever serves the same things.
#[derive(Clone, Debug)]
pub struct Worker {
    url: String,
    agent: Agent,
}

impl Worker {
    /// At this address. Nothing is sent yet.
    pub fn new(url: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_recv_response(Some(Duration::from_secs(120)))
            .build();
        Self {
            url: url.trim_end_matches('/').into(),
            agent: Agent::new_with_config(config),
        }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// An error about one of its answers.
    pub fn wrong(&self, what: impl ToString, reason: impl ToString) -> Error {
        Error::Answer {
            url: self.url.clone(),
            what: what.to_string(),
            reason: reason.to_string(),
        }
    }

    fn answer(&self, path: &str, response: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>> {
        let mut response = response.map_err(|e| Error::NoWorker {
            url: self.url.clone(),
            reason: e.to_string(),
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        let message = body["error"]["message"].as_str().map_or(text, str::to_owned);
        Err(Error::Worker {
            url: self.url.clone(),
            path: path.into(),
            status: response.status().as_u16(),
            message,
        })
    }

    /// Sends a request and returns what came, refusals as well. A whole answer may take its time.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Response<Body>> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let wrong = |e: ureq::http::Error| self.wrong(path, e);
        let sent = match body {
            None => self.agent.run(request.body(()).map_err(wrong)?),
            Some(body) => {
                let request = request.header("content-type", "application/json");
                let request = self
                    .agent
                    .configure_request(request.body(body.to_string()).map_err(wrong)?)
                    .timeout_recv_response(Some(ANSWER))
                    .build();
                self.agent.run(request)
            }
        };
        sent.map_err(|e| Error::NoWorker {
            url: self.url.clone(),
            reason: e.to_string(),
        })
    }

    /// `GET`, as bytes.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        let response = self.agent.get(format!("{}{path}", self.url)).call();
        let mut response = self.answer(path, response)?;
        let body = response.body_mut().with_config().limit(MOST).read_to_vec();
        body.map_err(|e| self.wrong(path, e))
    }

    /// `GET`, as JSON.
    pub fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.json_with(path, &[])
    }

    /// `GET` with headers, as JSON.
    pub fn json_with<T: DeserializeOwned>(&self, path: &str, headers: &[(&str, &str)]) -> Result<T> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = self.answer(path, request.call())?;
        let body = response.body_mut().with_config().limit(MOST).read_to_vec();
        let body = body.map_err(|e| self.wrong(path, e))?;
        serde_json::from_slice(&body).map_err(|e| self.wrong(path, e))
    }

    /// Stores a file as content, in blocks, and returns its identifier.
    pub fn put(&self, bytes: &[u8]) -> Result<Cid> {
        let blocks = openledger_content::blocks(bytes);
        let (root, _) = blocks
            .last()
            .ok_or_else(|| Error::other("a file without a block"))?;
        for (cid, block) in &blocks {
            // The last one names the others, and the file.
            let part = if cid == root { "" } else { "?part=1" };
            let path = format!("/v1/content/{cid}{part}");
            let response = self
                .agent
                .put(format!("{}{path}", self.url))
                .header("content-type", "application/octet-stream")
                .send(&block[..]);
            self.answer(&path, response)?;
        }
        Ok(*root)
    }

    /// A file of content. Whoever serves it, it is the identifier's.
    pub fn content(&self, cid: &Cid) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut ahead = vec![*cid];
        while let Some(cid) = ahead.pop() {
            let block = self.bytes(&format!("/v1/content/{cid}"))?;
            openledger_content::verify(&cid, &block)?;
            let parts = openledger_content::parts(&cid, &block)?;
            if parts.is_empty() {
                bytes.extend(block);
            }
            if bytes.len() as u64 > MOST {
                return Err(self.wrong(cid, format!("the file is over {MOST} bytes")));
            }
            ahead.extend(parts.into_iter().rev());
        }
        Ok(bytes)
    }

    /// `POST` of JSON, answered with JSON.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        let mut response = self.answer(path, request.send(body.to_string()))?;
        let body = response.body_mut().with_config().limit(MOST).read_to_vec();
        let body = body.map_err(|e| self.wrong(path, e))?;
        serde_json::from_slice(&body).map_err(|e| self.wrong(path, e))
    }

    /// Posts JSON and reads the answer line by line as it comes.
    pub fn stream(&self, path: &str, headers: &[(&str, String)], body: &Value) -> Result<Lines> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = self.answer(path, request.send(body.to_string()))?;
        Ok(Lines {
            reader: BufReader::new(Box::new(response.into_body().into_reader())),
        })
    }
}

/// The data of server-sent events.
pub struct Lines {
    reader: BufReader<Box<dyn Read>>,
}

impl Iterator for Lines {
    type Item = std::io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = String::new();
            match self.reader.read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(e) => return Some(Err(e)),
            }
            // Comments and empty lines keep the connection alive.
            if let Some(data) = line.strip_prefix("data:") {
                let data = data.trim();
                return (data != "[DONE]").then(|| Ok(data.to_owned()));
            }
        }
    }
}
