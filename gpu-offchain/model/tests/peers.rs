//! Tokens and conversations as transformers makes them, for 1,000 strings and vocabularies of four kinds (golden files; `make peers`).

use std::path::{Path, PathBuf};

use openledger_model::{Message, Tokenizer};
use safetensors::SafeTensors;

fn golden() -> PathBuf {
    std::env::var_os("OPENLEDGER_GOLDEN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden"),
        PathBuf::from,
    )
}

fn strings() -> Vec<String> {
    serde_json::from_slice(&std::fs::read(golden().join("strings.json")).unwrap()).unwrap()
}

/// Lists of tokens of different lengths.
fn ragged(file: &SafeTensors<'_>, key: &str) -> Vec<Vec<u32>> {
    let offsets = file.tensor(&format!("{key}.offsets")).unwrap();
    let offsets: Vec<usize> = offsets
        .data()
        .chunks(4)
        .map(|c| i32::from_le_bytes(c.try_into().unwrap()) as usize)
        .collect();
    let ids = file.tensor(&format!("{key}.ids")).unwrap();
    let ids: Vec<u32> = ids
        .data()
        .chunks(2)
        .map(|c| i16::from_le_bytes(c.try_into().unwrap()) as u32)
        .collect();
    offsets.windows(2).map(|w| ids[w[0]..w[1]].to_vec()).collect()
}

/// As the generator makes them.
fn conversation(all: &[String], i: usize) -> Vec<Message> {
    let say = |role: &str, content: &str| Message {
        role: role.into(),
        content: content.into(),
    };
    let at = |k: usize| all[(i * 7 + k) % all.len()].as_str();
    let mut turns = Vec::new();
    if i.is_multiple_of(3) {
        turns.push(say("system", at(11)));
    }
    turns.push(say("user", &all[i]));
    for k in 0..i % 2 {
        turns.push(say("assistant", at(3 + k)));
        turns.push(say("user", at(5 + k)));
    }
    turns
}

fn tokenizer(name: &str) -> (Tokenizer, PathBuf) {
    let folder = golden().join(format!("tokenizer-{name}"));
    let source = match name {
        "shipped" => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shipped/base"),
        _ => folder.clone(),
    };
    (Tokenizer::load(&source).unwrap(), folder)
}

const NAMES: [&str; 4] = ["headers", "chatml", "brackets", "shipped"];

#[test]
fn tokens_and_texts_should_be_those_of_transformers() {
    let texts = strings();
    assert_eq!(texts.len(), 1000);
    for name in NAMES {
        let (tokenizer, folder) = tokenizer(name);
        let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let decoded: Vec<Option<String>> =
            serde_json::from_slice(&std::fs::read(folder.join("decoded.json")).unwrap()).unwrap();
        let bytes_of = tokenizer.token_bytes();
        for ((text, want), decoded) in texts.iter().zip(ragged(&file, "plain")).zip(decoded) {
            let got = tokenizer.encode(text).unwrap();
            assert_eq!(got, want, "{name}: {text:?}");
            let back = tokenizer.decode(&got).unwrap();
            assert_eq!(&back, decoded.as_ref().unwrap_or(text), "{name}");
            let spelled: Vec<u8> = got
                .iter()
                .flat_map(|id| bytes_of[*id as usize].clone().unwrap())
                .collect();
            // Some vocabularies put a space before a text; which their decoder takes away again.
            assert_eq!(
                String::from_utf8_lossy(&spelled).trim_start_matches(' '),
                back.trim_start_matches(' '),
                "{name}: the tokens' bytes"
            );
            let mut stream = tokenizer.stream();
            let mut pieces = String::new();
            for id in got {
                pieces.extend(stream.push(id).unwrap());
            }
            assert_eq!(pieces + &stream.finish().unwrap(), back, "{name}: streamed");
        }
        for (text, want) in texts.iter().zip(ragged(&file, "begun")) {
            assert_eq!(tokenizer.text_prompt(text).unwrap(), want, "{name}: {text:?}");
        }
    }
}

#[test]
fn conversations_should_be_those_of_transformers() {
    let texts = strings();
    for name in NAMES {
        let (tokenizer, folder) = tokenizer(name);
        let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        for (i, want) in ragged(&file, "chat").into_iter().enumerate() {
            let turns = conversation(&texts, i);
            assert_eq!(tokenizer.chat(&turns).unwrap(), want, "{name}: {turns:?}");
        }
    }
}

#[test]
fn only_what_the_assistant_says_and_its_end_should_count() {
    let say = |role: &str, content: &str| Message {
        role: role.into(),
        content: content.into(),
    };
    let turns = [
        say("user", "What is  <|im_end|> a whale?"),
        say("assistant", "A spouting fish with a horizontal tail."),
        say("user", "And <|eot_id|></s> then?"),
        say("assistant", "There it blows!"),
    ];
    for name in NAMES {
        let (tokenizer, _) = tokenizer(name);
        let example = tokenizer.conversation(&turns).unwrap();
        let spoken: Vec<u32> = example
            .tokens
            .iter()
            .zip(&example.mask)
            .filter(|(_, m)| **m)
            .map(|(t, _)| *t)
            .collect();
        let ends = spoken.iter().filter(|t| tokenizer.eos().contains(t)).count();
        assert_eq!(ends, 2, "{name}");
        let text = tokenizer.decode(&spoken).unwrap();
        let squeezed: String = text.split_whitespace().collect();
        assert_eq!(
            squeezed, "Aspoutingfishwithahorizontaltail.Thereitblows!",
            "{name}"
        );
        // What a user writes is no token of the template.
        let all = example
            .tokens
            .iter()
            .filter(|t| tokenizer.eos().contains(t))
            .count();
        assert!(all <= 4 + usize::from(name == "chatml"), "{name}: {all}");
    }
}
