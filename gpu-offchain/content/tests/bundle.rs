//! Bundles: one blob a contribution, strict to the bit, and the contribution that the chain knows.

mod common;

use common::{seed, sentences, text, Rng};
use openledger_attribution::{hash::keccak, record::RecordLeaf, tree::Tree};
use openledger_content::{Bundle, Cid, Error, Record};

fn bundle(rng: &mut Rng) -> Bundle {
    let records = (0..1 + rng.below(6)).map(|_| {
        let words = 1 + rng.below(40) as usize;
        Record::new(&sentences(&text(rng, words)).join("\n")).unwrap()
    });
    Bundle::new(records.collect()).unwrap()
}

#[test]
fn a_bundle_is_its_bytes_and_its_root() {
    let mut rng = Rng(seed());
    for _ in 0..50 {
        let bundle = bundle(&mut rng);
        let bytes = bundle.encode();
        assert_eq!(Bundle::decode(&bytes).unwrap(), bundle);
        assert_eq!(bundle.cid(), Cid::of(&bytes));

        let root = bundle.root().unwrap();
        assert_eq!(root, Tree::new(&bundle.leaves()).unwrap().root());
        assert_eq!(bundle.root_hash().unwrap(), root.hash::<RecordLeaf>());
        assert_eq!(
            root.sum,
            bundle.records.iter().map(|r| r.text().len() as u128).sum()
        );
        for (at, record) in (0u32..).zip(&bundle.records) {
            let opening = bundle.open(at).unwrap().unwrap();
            assert!(opening.verify(&root).is_some());
            assert_eq!(opening.leaf.content, keccak(&[record.text().as_bytes()]));
        }
        assert_eq!(bundle.open(bundle.records.len() as u32).unwrap(), None);
        bundle.verify(&root).unwrap();
        let mut other = root;
        other.top[7] ^= 1;
        assert!(matches!(
            bundle.verify(&other),
            Err(Error::OtherContribution { .. })
        ));
    }
}

#[test]
fn no_other_bytes_are_a_bundle_of_the_same_records() {
    let mut rng = Rng(seed());
    for _ in 0..200 {
        let bundle = bundle(&mut rng);
        let bytes = bundle.encode();
        let mut changed = bytes.clone();
        let at = rng.below(bytes.len() as u64) as usize;
        changed[at] ^= 1 << rng.below(8);
        if let Ok(other) = Bundle::decode(&changed) {
            assert_ne!(other, bundle);
            assert_eq!(other.encode(), changed);
        }
        assert!(Bundle::decode(&bytes[..at]).is_err());
        let longer = [&bytes[..], &[0]].concat();
        assert!(Bundle::decode(&longer).is_err());
    }
    // Claims that the bytes do not keep.
    let huge = [
        b"OLBUNDLE".as_slice(),
        &[1],
        &u32::MAX.to_be_bytes(),
        &u32::MAX.to_be_bytes(),
    ]
    .concat();
    assert!(Bundle::decode(&huge).is_err());
    let with = |texts: &[&str]| {
        let mut bytes = [b"OLBUNDLE".as_slice(), &[1], &(texts.len() as u32).to_be_bytes()].concat();
        for text in texts {
            bytes.extend_from_slice(&(text.len() as u32).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    };
    assert!(Bundle::decode(&with(&["a", "b"])).is_ok());
    for texts in [&["a", "a"][..], &[""], &[" a"], &["a  b"], &[]] {
        assert!(Bundle::decode(&with(texts)).is_err(), "{texts:?}");
    }
    let mut next = with(&["a"]);
    next[8] = 2;
    assert!(Bundle::decode(&next)
        .unwrap_err()
        .to_string()
        .contains("version 2"));
}

#[test]
fn the_same_text_twice_is_one_record() {
    let record = |text| Record::new(text).unwrap();
    let bundle = Bundle::new(vec![record("a"), record("b"), record("a "), record("c")]).unwrap();
    let texts: Vec<&str> = bundle.records.iter().map(Record::text).collect();
    assert_eq!(texts, ["a", "b", "c"]);
    assert!(matches!(Bundle::new(vec![]), Err(Error::Empty)));
}

#[test]
fn cids_are_those_of_the_standard() {
    // `ipfs add --cid-version=1 --raw-leaves` of the text without line feed.
    let cid = Cid::of(b"hello world");
    assert_eq!(
        cid.to_string(),
        "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
    );
    assert_eq!(cid.to_string().parse::<Cid>().unwrap(), cid);
    assert_eq!(Cid::from_bytes(&cid.to_bytes()).unwrap(), cid);
    let text = cid.to_string();
    for wrong in [
        &text[1..],
        &text[..20],
        &text.to_uppercase(),
        "",
        "b",
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
    ] {
        assert!(matches!(wrong.parse::<Cid>(), Err(Error::Cid { .. })), "{wrong}");
    }
    // Another codec or hash is not what is used here.
    for (at, value) in [(0, 0), (1, 0x71), (2, 0x1b), (3, 0x40)] {
        let mut bytes = cid.to_bytes();
        bytes[at] = value;
        assert!(Cid::from_bytes(&bytes).is_err());
    }
}
