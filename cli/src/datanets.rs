//! `datanet` and `contribute`.

use crate::{
    args,
    context::{money, name, random, short, text_of, Context},
    files,
    keys::{self, Keys},
    review,
    wire::{bytes_of_field, hex_of},
    Error, Result,
};
use openledger_attribution::record::{reservation, VersionLeaf};
use openledger_chain::{ss58, Chain, Head, Included, Read};
use openledger_content::{
    is_licensed, version_leaves, version_root, Bundle, Cid, Contribution as Part, Label, Purpose, Record,
    SealedHead,
};
use openledger_protocol::{
    calls,
    datanets::{Contribution, Curation, Datanet, Standing, Version},
    storage, Account,
};
use serde_json::{json, Value};
use std::{collections::BTreeMap, io::BufRead, path::Path};

/// Starts the block behind a version's CID.
const VERSION_LIST: &[u8] = b"OLLEAVES\x01";

/// Runs the command.
pub async fn run(context: &Context, command: args::Datanet) -> Result<()> {
    match command {
        args::Datanet::Create {
            name,
            licence,
            curators,
        } => create(context, &name, &licence, curators).await,
        args::Datanet::Show { datanet } => show(context, datanet).await,
        args::Datanet::Accept { contribution, weight } => decide(context, contribution, Some(weight)).await,
        args::Datanet::Reject { contribution } => decide(context, contribution, None).await,
        args::Datanet::Publish(command) => publish(context, &command).await,
    }
}

async fn create(context: &Context, called: &str, licence: &str, curators: Vec<Account>) -> Result<()> {
    let chain = context.chain().await?;
    let key = context.key(&chain)?;
    let (called, licence) = (name(called)?, name(licence)?);
    let curation =
        if curators.is_empty() {
            Curation::Open
        } else {
            let count = curators.len();
            Curation::Curators(curators.try_into().map_err(|_| {
                Error::other(format!("{count} curators are too many: a Datanet has at most 16"))
            })?)
        };
    let included = chain
        .submit(&calls::datanets::create(&called, &licence, &curation), &key)
        .await?;
    let next: u64 = chain
        .read(storage::next_datanet(), included.block)
        .await?
        .value
        .unwrap_or(0);
    for id in (0..next).rev() {
        let datanet = chain
            .read::<Datanet<Account>>(storage::datanet(id), included.block)
            .await?;
        let own = |d: &Datanet<Account>| d.creator == key.account() && d.name == called;
        if datanet.value.as_ref().is_some_and(own) {
            let datanet = datanet.found(format_args!("Datanet {id}"))?;
            context.say_included(&format!("Datanet {id} created"), &included);
            context.say(format!(
                "  deposit {}",
                money(&datanet.clone().map(|d| d.deposit))
            ));
            context.give(&json!({ "datanet": id, "block": included.block.number }));
            return Ok(());
        }
    }
    Err(lost("Datanet", &included))
}

fn lost(what: &str, included: &Included) -> Error {
    Error::other(format!(
        "block {} has no new {what} of this account: this program and the runtime differ in version; update the older one",
        included.block
    ))
}

async fn show(context: &Context, datanet: Option<u64>) -> Result<()> {
    let chain = context.chain().await?;
    let block = chain.head(Head::Best).await?;
    let all: Vec<(u64, Read<Datanet<Account>>)> = match datanet {
        Some(id) => {
            let found = chain
                .read(storage::datanet(id), block)
                .await?
                .found(format_args!("Datanet {id}"))?;
            vec![(id, found)]
        }
        None => chain.entries("Datanets", "Datanets", block).await?,
    };
    let contributions: Vec<(u64, Read<Contribution<Account>>)> =
        chain.entries("Datanets", "Contributions", block).await?;
    let versions: Vec<((u64, u32), Read<Version>)> = chain.entries("Datanets", "Versions", block).await?;
    let mut list = Vec::new();
    for (id, datanet) in all {
        let value = &datanet.value;
        let who = match &value.curation {
            Curation::Open => "open".to_owned(),
            Curation::Curators(curators) => curators.iter().map(short).collect::<Vec<_>>().join(", "),
        };
        context.say(format!(
            "Datanet {id} \"{}\" ({}), curation: {who} ({})",
            text_of(&value.name),
            text_of(&value.licence),
            datanet.place()
        ));
        let (mut parts, mut editions) = (Vec::new(), Vec::new());
        for (number, part) in contributions.iter().filter(|(_, c)| c.value.datanet == id) {
            let c = &part.value;
            context.say(format!(
                "  contribution {number} by {}: {} records, {} bytes, {}, since block {} ({})",
                ss58(&c.contributor),
                c.records.count,
                c.records.sum,
                standing(&c.standing),
                c.since,
                part.place()
            ));
            parts.push(json!({
                "contribution": number,
                "contributor": hex_of(c.contributor),
                "records": c.records.count,
                "bytes": c.records.sum.to_string(),
                "standing": standing(&c.standing),
                "cid": cid_text(&c.cid),
            }));
        }
        for ((_, number), version) in versions.iter().filter(|((datanet, _), _)| *datanet == id) {
            let v = &version.value;
            context.say(format!(
                "  version {number}: {} records, {} families, published in block {} ({})",
                v.records.count,
                v.records.sum,
                v.published,
                version.place()
            ));
            editions.push(json!({
                "version": number,
                "parent": v.parent,
                "records": v.records.count,
                "families": v.records.sum.to_string(),
                "published": v.published,
                "cid": cid_text(&v.cid),
            }));
        }
        list.push(json!({
            "datanet": id,
            "name": text_of(&value.name),
            "licence": text_of(&value.licence),
            "contributions": parts,
            "versions": editions,
        }));
    }
    if list.is_empty() {
        context.say("no Datanets yet: create one with `openledger datanet create NAME`");
    }
    context.give(&Value::Array(list));
    Ok(())
}

fn standing(standing: &Standing) -> String {
    match standing {
        Standing::Pending => "pending".into(),
        Standing::Accepted { weight } => format!("accepted with weight {weight}"),
        Standing::Rejected => "rejected".into(),
    }
}

fn cid_text(bytes: &[u8]) -> String {
    Cid::from_bytes(bytes).map_or_else(|_| hex_of(bytes), |cid| cid.to_string())
}

async fn decide(context: &Context, id: u64, weight: Option<u16>) -> Result<()> {
    let chain = context.chain().await?;
    let key = context.key(&chain)?;
    let contribution = contribution_at(&chain, id, Head::Best).await?;
    let datanet = contribution.value.datanet;
    let datanet = chain
        .read::<Datanet<Account>>(storage::datanet(datanet), contribution.block)
        .await?
        .found(format_args!("Datanet {datanet}"))?;
    let call = match (weight, &datanet.value.curation) {
        (None, _) => calls::datanets::reject(id),
        (Some(_), Curation::Open) => calls::datanets::mature(id),
        (Some(weight), Curation::Curators(_)) => calls::datanets::accept(id, weight),
    };
    let included = chain.submit(&call, &key).await?;
    let contribution = contribution_at(&chain, id, included.block).await?;
    let now = standing(&contribution.value.standing);
    context.say_included(&format!("contribution {id} is {now}"), &included);
    context.give(&json!({ "contribution": id, "standing": now, "block": included.block.number }));
    Ok(())
}

async fn contribution_at(
    chain: &Chain,
    id: u64,
    at: impl Into<openledger_chain::At>,
) -> Result<Read<Contribution<Account>>> {
    let read = chain.read(storage::contribution(id), at).await?;
    Ok(read.found(format_args!("contribution {id}"))?)
}

/// `contribute`.
pub async fn contribute(context: &Context, command: args::Contribute) -> Result<()> {
    let mut records = Vec::new();
    for file in &command.files {
        records.extend(read_records(file)?);
    }
    let bundle = Bundle::new(records)?;
    let root = bundle.root()?;
    let chain = context.chain().await?;
    let key = context.key(&chain)?;
    let account = key.account();

    // The bytes first: a contribution that nobody can fetch is worth nothing.
    let datanet = chain
        .read::<Datanet<Account>>(storage::datanet(command.datanet), Head::Best)
        .await?
        .found(format_args!("Datanet {}", command.datanet))?
        .value;
    let worker = context.worker();
    let (bytes, how) = if is_licensed(&datanet.licence) {
        let label = Label {
            datanet: command.datanet,
            version: datanet.versions,
            keeper: crate::channels::worker_account(context)?,
        };
        let own = keys::ask(
            &worker,
            &chain,
            &key,
            &label,
            Purpose::Contribute(bundle.root_hash()?),
        )?;
        (bundle.seal_under(&own, &label)?, "sealed and stored")
    } else {
        (bundle.encode(), "stored")
    };
    let cid = worker.put(&bytes)?;
    context.say(format!(
        "{} records, {} bytes, {how} at {} as {cid}",
        root.count,
        root.sum,
        worker.url()
    ));

    // The salt is written down before it is committed to: without it the reservation's deposit waits until it runs out. And a
    // contribution that was interrupted goes on with the same reservation.
    let path = context.data(&chain.genesis()).join("contributions").join(format!(
        "{}-{}-{}.json",
        command.datanet,
        hex::encode(account),
        hex::encode(bundle.root_hash()?)
    ));
    let salt = match files::read_json::<String>(&path)? {
        Some(text) => args::parse_hash(&text).map_err(|e| Error::file(&path, e))?,
        None => {
            let salt = random()?;
            files::write_json(&path, &hex_of(salt))?;
            salt
        }
    };
    let commitment = reservation(&account, command.datanet, &salt, &bundle.root_hash()?);
    if chain
        .storage_bytes(&storage::reservation(commitment), Head::Best)
        .await?
        .value
        .is_none()
    {
        let reserved = chain.submit(&calls::datanets::reserve(&commitment), &key).await?;
        context.say_included("reserved", &reserved);
    }
    let stored = cid
        .to_bytes()
        .try_into()
        .map_err(|_| Error::other("the content identifier is too long"))?;
    let call = calls::datanets::contribute(command.datanet, &salt, &root, &stored);
    let included = chain.submit(&call, &key).await?;
    std::fs::remove_file(&path).map_err(|e| Error::file(&path, e))?;
    let next: u64 = chain
        .read(storage::next_contribution(), included.block)
        .await?
        .value
        .unwrap_or(0);
    for id in (0..next).rev() {
        let found = chain
            .read::<Contribution<Account>>(storage::contribution(id), included.block)
            .await?;
        let own = |c: &Contribution<Account>| {
            c.contributor == account && c.records == root && c.datanet == command.datanet
        };
        if found.value.as_ref().is_some_and(own) {
            let found = found.found(format_args!("contribution {id}"))?;
            context.say_included(&format!("contribution {id} by {}", ss58(&account)), &included);
            context.say(format!("  deposit {}", money(&found.clone().map(|c| c.deposit))));
            context.give(&json!({
                "contribution": id,
                "datanet": command.datanet,
                "contributor": hex_of(account),
                "records": root.count,
                "bytes": root.sum.to_string(),
                "cid": cid.to_string(),
                "block": included.block.number,
            }));
            return Ok(());
        }
    }
    Err(lost("contribution", &included))
}

/// The records of a file. A line of `.jsonl` with `prompt` and `response` is one record: the prompt, a blank line, the response.
pub fn read_records(path: &Path) -> Result<Vec<Record>> {
    if path
        .extension()
        .is_none_or(|extension| !extension.eq_ignore_ascii_case("jsonl"))
    {
        return Ok(openledger_content::read_file(path)?);
    }
    let file = std::fs::File::open(path).map_err(|e| Error::file(path, e))?;
    let mut records = Vec::new();
    for (number, line) in (1..).zip(std::io::BufReader::new(file).lines()) {
        let line = line.map_err(|e| Error::file(path, format!("line {number}: {e}")))?;
        if line.trim().is_empty() {
            continue;
        }
        let value: Value = serde_json::from_str(&line)
            .map_err(|e| Error::file(path, format!("line {number} is no JSON: {e}")))?;
        match (value["prompt"].as_str(), value["response"].as_str()) {
            (Some(prompt), Some(response)) => records.extend(Record::new(&format!("{prompt}\n\n{response}"))),
            // Any other shape is as the content crate reads it, whole file or not at all.
            _ => return Ok(openledger_content::read_file(path)?),
        }
    }
    Ok(records)
}

async fn publish(context: &Context, command: &args::Publish) -> Result<()> {
    let id = command.datanet;
    let chain = context.chain().await?;
    let key = context.key(&chain)?;
    let block = chain.head(Head::Best).await?;
    let datanet = chain
        .read::<Datanet<Account>>(storage::datanet(id), block)
        .await?
        .found(format_args!("Datanet {id}"))?;
    let parent = command.parent.or(datanet.value.versions.checked_sub(1));
    let mut accepted: Vec<(u64, Contribution<Account>)> = chain
        .entries::<u64, Contribution<Account>>("Datanets", "Contributions", block)
        .await?
        .into_iter()
        .map(|(number, c)| (number, c.value))
        .filter(|(_, c)| c.datanet == id && matches!(c.standing, Standing::Accepted { .. }))
        .collect();
    // A version with what is known to be somebody else's costs its publisher the deposit.
    let mut originals = Vec::with_capacity(accepted.len());
    for (number, c) in accepted {
        if chain
            .read::<u32>(storage::duplicate(number), block)
            .await?
            .value
            .is_none()
        {
            originals.push((number, c));
        }
    }
    accepted = originals;
    if accepted.is_empty() {
        return Err(Error::other(format!(
            "Datanet {id} has no accepted contribution at block {block}: accept one with `openledger datanet accept`"
        )));
    }
    let worker = context.worker();
    let mut keys = Keys::new(&chain, &key);
    let mut bundles = Vec::with_capacity(accepted.len());
    // Of two with the same record the one reserved earlier is first; of two in one block, the one with the smaller number.
    accepted.sort_by_key(|(number, c)| (c.reserved, *number));
    for (number, c) in &accepted {
        let bytes = worker.content(&Cid::from_bytes(&c.cid)?)?;
        let bundle = if SealedHead::is_sealed(&bytes) {
            let label = *SealedHead::read(&bytes)?.label();
            if label.datanet != id {
                return Err(Error::other(format!(
                    "contribution {number} is sealed for Datanet {}, not {id}: nobody can be given its key",
                    label.datanet
                )));
            }
            Bundle::unseal(keys.get(&label).await?, &c.contributor, &bytes, &c.records)
        } else {
            Bundle::decode(&bytes).and_then(|bundle| bundle.verify(&c.records).map(|()| bundle))
        };
        bundles.push(bundle.map_err(|e| Error::other(format!("contribution {number}: {e}")))?);
    }
    let parts: Vec<Part<'_>> = (0u64..)
        .zip(accepted.iter().zip(&bundles))
        .map(|(order, ((number, c), bundle))| Part {
            id: *number,
            contributor: c.contributor,
            reserved: order,
            records: &bundle.records,
        })
        .collect();
    let records: BTreeMap<u64, &[Record]> = parts.iter().map(|part| (part.id, part.records)).collect();
    let (leaves, held) = review::passed(
        context,
        &chain,
        &worker,
        command,
        version_leaves(&parts)?,
        &records,
    )
    .await?;
    let root = version_root(&leaves)?;
    let cid = worker.put(&version_list(&leaves))?;
    let stored = cid
        .to_bytes()
        .try_into()
        .map_err(|_| Error::other("the content identifier is too long"))?;
    let included = chain
        .submit(&calls::datanets::publish(id, parent, &root, &stored), &key)
        .await?;
    let datanet = chain
        .read::<Datanet<Account>>(storage::datanet(id), included.block)
        .await?
        .found(format_args!("Datanet {id}"))?;
    let version = datanet
        .value
        .versions
        .checked_sub(1)
        .ok_or_else(|| lost("version", &included))?;
    context.say_included(
        &format!(
            "version {version} of Datanet {id}: {} contributions, {} records, {} families, published",
            accepted.len(),
            root.count,
            root.sum
        ),
        &included,
    );
    context.give(&json!({
        "datanet": id,
        "version": version,
        "records": root.count,
        "families": root.sum.to_string(),
        "held": held,
        "cid": cid.to_string(),
        "block": included.block.number,
    }));
    Ok(())
}

/// The block behind a version's CID.
fn version_list(leaves: &Vec<VersionLeaf>) -> Vec<u8> {
    let mut bytes = VERSION_LIST.to_vec();
    bytes.extend(bytes_of_field(leaves));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_and_responses_become_records_as_workers_read_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        std::fs::write(
            &path,
            "{\"prompt\":\"Who?\",\"response\":\"Me.\"}\n\n{\"prompt\":\"a\",\"response\":\"b\"}\n",
        )
        .unwrap();
        let records = read_records(&path).unwrap();
        let texts: Vec<&str> = records.iter().map(Record::text).collect();
        assert_eq!(texts, ["Who?\n\nMe.", "a\n\nb"]);
        std::fs::write(&path, "{\"text\":\"only text\"}\n").unwrap();
        assert_eq!(read_records(&path).unwrap()[0].text(), "only text");
        std::fs::write(&path, "{\n").unwrap();
        assert!(read_records(&path).unwrap_err().to_string().contains("line 1"));
    }
}
