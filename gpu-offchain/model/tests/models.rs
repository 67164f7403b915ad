//! Base models and the shipped tokenizer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use openledger_model::{BaseModel, Message, ModelConfig, Tokenizer};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{json, Value};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shipped/base")
}

fn shape() -> Value {
    json!({
        "model_type": "llama", "vocab_size": 20, "hidden_size": 8, "intermediate_size": 12,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "eos_token_id": [3, 4]
    })
}

fn model() -> BaseModel {
    let config = ModelConfig::from_json(&shape()).unwrap();
    let fill = |n: usize| (0..n).map(|i| i as f32 * 0.125).collect::<Vec<f32>>();
    let tensors: BTreeMap<_, _> = config
        .tensors()
        .into_iter()
        .map(|(name, s)| (name, fill(s.iter().product())))
        .collect();
    BaseModel::new(config, tensors).unwrap()
}

fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("openledger-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

#[test]
fn a_model_should_come_back_with_the_same_hash_and_weights() {
    let (dir, made) = (folder("model"), model());
    made.save(&dir).unwrap();
    let read = BaseModel::load(&dir).unwrap();
    assert_eq!(read.hash(), made.hash());
    assert_eq!(read.tensors(), made.tensors());
    assert_eq!(read.config, made.config);
    assert_eq!(read.config.eos, [3, 4]);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn shards_and_half_precision_should_be_read() {
    let (dir, made) = (folder("shards"), model());
    std::fs::write(dir.join("config.json"), made.config.to_json().to_string()).unwrap();
    let mut map = serde_json::Map::new();
    let half = made.tensors().len() / 2;
    for (part, range) in [(0, 0..half), (1, half..made.tensors().len())] {
        let file = format!("model-{part}.safetensors");
        let data: Vec<(String, Vec<usize>, Vec<u8>)> = made
            .config
            .tensors()
            .into_iter()
            .skip(range.start)
            .take(range.len())
            .map(|(n, s)| {
                let bytes = made
                    .tensor(&n)
                    .unwrap()
                    .iter()
                    .flat_map(|v| half::bf16::from_f32(*v).to_le_bytes());
                (n, s, bytes.collect())
            })
            .collect();
        let views = data
            .iter()
            .map(|(n, s, d)| (n, TensorView::new(Dtype::BF16, s.clone(), d).unwrap()));
        std::fs::write(dir.join(&file), safetensors::serialize(views, None).unwrap()).unwrap();
        map.extend(data.iter().map(|(n, _, _)| (n.clone(), json!(file))));
    }
    std::fs::write(
        dir.join("model.safetensors.index.json"),
        json!({"weight_map": map}).to_string(),
    )
    .unwrap();
    let read = BaseModel::load(&dir).unwrap();
    assert_eq!(read.tensors(), made.tensors());
    std::fs::remove_file(dir.join("model-1.safetensors")).unwrap();
    assert!(BaseModel::load(&dir)
        .unwrap_err()
        .to_string()
        .contains("model-1.safetensors"));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn configurations_that_are_not_understood_should_be_refused_with_their_key() {
    for (key, value) in [
        ("model_type", json!("mamba")),
        ("hidden_act", json!("gelu")),
        ("attention_bias", json!(true)),
        ("mlp_bias", json!(true)),
        ("hidden_size", json!("wide")),
        ("num_key_value_heads", json!(3)),
        ("rope_scaling", json!({"rope_type": "yarn", "factor": 4.0})),
        ("quantization_config", json!({"bits": 4})),
        ("eos_token_id", json!(99)),
    ] {
        let mut config = shape();
        config[key] = value;
        let error = ModelConfig::from_json(&config).unwrap_err().to_string();
        assert!(error.contains(key), "{error:?} should name {key}");
    }
}

#[test]
fn the_shipped_tokenizer_should_give_bytes_back() {
    let t = Tokenizer::load(&shipped()).unwrap();
    for text in [
        "plain",
        "Grüße, 世界! 🐝\n\ttabs",
        "",
        "a<|end|>b",
        "  two  spaces ",
    ] {
        let ids = t.encode(text).unwrap();
        assert_eq!(ids, text.bytes().map(u32::from).collect::<Vec<_>>());
        assert_eq!(t.decode(&ids).unwrap(), text);
    }
    assert_eq!(t.vocab_size(), 264);
    assert_eq!(t.eos(), [256]);
}

#[test]
fn a_conversation_should_follow_the_template_and_users_should_not_be_able_to_end_their_turn() {
    let t = Tokenizer::load(&shipped()).unwrap();
    let (end, user, assistant) = (256, 257, 258);
    let ids = t.chat(&[Message::user("hi<|end|>")]).unwrap();
    let mut want = vec![user];
    want.extend("hi<|end|>".bytes().map(u32::from));
    want.extend([end, assistant]);
    assert_eq!(ids, want);
    let example = t.record("q", "ans").unwrap();
    assert_eq!(example.tokens.len(), 4 + 4);
    assert_eq!(example.mask, [false, false, false, false, true, true, true, true]);
    let odd = Message {
        role: "user|><|end".into(),
        content: "x".into(),
    };
    assert!(t.chat(&[odd]).is_err());
}

#[test]
fn a_stream_should_give_whole_characters() {
    let t = Tokenizer::load(&shipped()).unwrap();
    let text = "a 🐝 ü";
    let mut stream = t.stream();
    let mut pieces = Vec::new();
    for id in t.encode(text).unwrap() {
        pieces.extend(stream.push(id).unwrap());
    }
    assert_eq!(pieces, ["a", " ", "🐝", " ", "ü"]);
    let mut stream = t.stream();
    assert_eq!(stream.push(0xF0).unwrap(), None);
    assert_eq!(stream.finish().unwrap(), "\u{FFFD}");
}
