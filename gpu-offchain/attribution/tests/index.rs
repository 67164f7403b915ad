//! An index has the same bits however it was built, survives being killed anywhere, and shows every change.

mod common;

use common::{push_all, unit_gradient, World};
use openledger_attribution::{sketch::SketchRef, tree::Leaf, wire::Object};
use openledger_influence::{Error, Index, IndexBuilder};
use std::{fs, path::Path};

const FILES: [&str; 7] = [
    "index.bin",
    "sources.bin",
    "corpus.bin",
    "bases.bin",
    "exponents.bin",
    "lanes.bin",
    "leaves.bin",
];

fn files(dir: &Path) -> Vec<Vec<u8>> {
    FILES
        .iter()
        .map(|name| fs::read(dir.join(name)).unwrap())
        .collect()
}

#[test]
fn threads_and_kills_change_no_bit() {
    let world = World::new();
    let index = world.build();
    let expected = files(world.dir.path());
    index.verify(2).unwrap();

    for threads in [1, 5] {
        let dir = tempfile::tempdir().unwrap();
        world.build_in(dir.path(), threads);
        assert!(files(dir.path()) == expected, "{threads} threads give other bits");
    }

    // Killed after a few rows, in the middle of a row, and before the first; each time opened again.
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("gradients.tmp");
    for (round, cut) in [(0u64, 30u64), (5, 7), (9, 0)] {
        let mut builder = IndexBuilder::open(dir.path(), &world.plan, &world.sketcher).unwrap();
        while builder.done() < round * 3 + 1 {
            let unit = builder.next_unit().unwrap();
            builder
                .push(&unit_gradient(&world.sketcher, world.seed, &unit))
                .unwrap();
        }
        let done = builder.done();
        drop(builder);
        let file = fs::OpenOptions::new().write(true).open(&spool).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length - cut).unwrap();
        let again = IndexBuilder::open(dir.path(), &world.plan, &world.sketcher).unwrap();
        assert_eq!(again.done(), done - u64::from(cut > 0));
    }
    let mut builder = IndexBuilder::open(dir.path(), &world.plan, &world.sketcher).unwrap();
    push_all(&mut builder, &world.sketcher, world.seed);
    // A finish that was killed leaves drafts and some files behind.
    fs::write(dir.path().join("lanes.draft"), b"half").unwrap();
    fs::write(dir.path().join("bases.bin"), b"of another try").unwrap();
    assert!(!Index::exists(dir.path()));
    builder.finish(2).unwrap();
    assert!(files(dir.path()) == expected);
    assert!(!spool.exists());

    // Finished already: nothing is left to do, and the same index comes back.
    let builder = IndexBuilder::open(dir.path(), &world.plan, &world.sketcher).unwrap();
    assert_eq!((builder.done(), builder.next_unit()), (builder.rows(), None));
    assert_eq!(builder.finish(1).unwrap().header().hash(), index.header().hash());
}

#[test]
fn rows_are_the_units_of_the_representatives_in_order_and_open() {
    let world = World::new();
    let index = world.build();
    let header = index.header();
    assert_eq!(header.check(index.layout()), Ok(()));
    assert_eq!(header.sources, world.plan.sources_root().unwrap());
    assert_eq!(index.rows(), world.plan.rows());

    let mut row = 0;
    for (source, version) in world.plan.sources.iter().enumerate() {
        for record in version
            .records
            .iter()
            .filter(|record| record.leaf.is_representative())
        {
            for unit in 0..record.tokens.div_ceil(256) {
                let leaf = index.row(row).unwrap();
                assert_eq!(
                    (leaf.source as usize, leaf.record, leaf.unit),
                    (source, record.leaf.record, unit)
                );
                assert_eq!(leaf.contributor, record.leaf.contributor);
                assert!(index.open_row(row).unwrap().verify(&header.rows).is_some());
                let tokens = index.unit(row).unwrap().tokens;
                assert_eq!(tokens.start, unit * 256);
                assert_eq!(tokens.end, record.tokens.min(unit * 256 + 256));
                row += 1;
            }
        }
    }
    assert_eq!(row, index.rows());
    for pair in 1..row {
        assert!(index
            .row(pair - 1)
            .unwrap()
            .may_precede(&index.row(pair).unwrap()));
    }
    for entry in 0..header.corpus.count {
        assert!(index.open_corpus(entry).unwrap().verify(&header.corpus).is_some());
    }
    for leaf in 0..header.bases.count {
        assert!(index.open_basis(leaf).unwrap().verify(&header.bases).is_some());
    }
    for source in 0..header.sources.count {
        assert!(index
            .open_source(source)
            .unwrap()
            .verify(&header.sources)
            .is_some());
    }
    assert!(matches!(index.open_row(row), Err(Error::NoSuch { .. })));
}

#[test]
fn a_recomputed_row_agrees_and_another_does_not() {
    let world = World::new();
    let index = world.build();
    let mut wrong = 0;
    for row in 0..index.rows() {
        let unit = index.unit(row).unwrap();
        let committed = index.row(row).unwrap().sketch;
        let gradient = unit_gradient(&world.sketcher, world.seed, &unit);
        assert_eq!(index.recomputed(&committed, &gradient).unwrap().verdict, Ok(()));
        let other = index.row((row + 1) % index.rows()).unwrap().sketch;
        wrong += usize::from(index.recomputed(&other, &gradient).unwrap().verdict.is_err());
    }
    assert_eq!(wrong as u64, index.rows());
}

#[test]
fn every_changed_byte_is_found() {
    let world = World::new();
    world.build();
    let mut rng = common::Rng(world.seed);
    for (name, bytes) in FILES.iter().zip(files(world.dir.path())) {
        let path = world.dir.path().join(name);
        for _ in 0..12 {
            let mut changed = bytes.clone();
            let at = rng.below(bytes.len() as u64) as usize;
            changed[at] ^= 1 << rng.below(8);
            fs::write(&path, &changed).unwrap();
            let found = Index::open(world.dir.path()).and_then(|index| index.verify(2));
            // Numbers that the header commits to nowhere else but in its own hash: whoever opens an index
            // compares that hash with the chain's.
            let header = Index::open(world.dir.path()).map(|index| index.header().hash());
            fs::write(&path, &bytes).unwrap();
            let own = Index::open(world.dir.path()).unwrap().header().hash();
            assert!(
                found.is_err() || header.is_ok_and(|header| header != own),
                "byte {at} of {name} was changed and nobody saw it"
            );
        }
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert!(Index::open(world.dir.path()).is_err(), "{name} is cut");
        fs::write(&path, &bytes).unwrap();
    }
}

#[test]
fn what_cannot_be_an_index_is_refused() {
    let world = World::new();
    let dir = world.dir.path();
    let mut builder = IndexBuilder::open(dir, &world.plan, &world.sketcher).unwrap();
    let unit = builder.next_unit().unwrap();
    builder
        .push(&unit_gradient(&world.sketcher, world.seed, &unit))
        .unwrap();
    assert!(matches!(
        builder.finish(1),
        Err(Error::Unfinished { done: 1, .. })
    ));

    let mut other = world.plan.clone();
    other.generation += 1;
    assert!(matches!(
        IndexBuilder::open(dir, &other, &world.sketcher),
        Err(Error::OtherPlan(_))
    ));

    let mut disordered = world.plan.clone();
    disordered.sources[0].records.swap(0, 1);
    let error = IndexBuilder::open(dir, &disordered, &world.sketcher)
        .err()
        .unwrap();
    assert!(matches!(error, Error::Plan(_)), "{error}");

    let mut orphan = world.plan.clone();
    orphan.sources[1].records[4].leaf.representative.index = 4_000;
    let error = IndexBuilder::open(dir, &orphan, &world.sketcher).err().unwrap();
    assert!(matches!(error, Error::Plan(_)), "{error}");

    let mut builder = IndexBuilder::open(dir, &world.plan, &world.sketcher).unwrap();
    let mut broken = world.sketcher.start();
    broken.add(2, &[f32::INFINITY; 17], &[1.0; 9]).unwrap();
    let error = builder.push(&broken.finish()).unwrap_err();
    assert!(
        matches!(&error, Error::NotFinite { module, .. } if module == "head"),
        "{error}"
    );
    push_all(&mut builder, &world.sketcher, world.seed);
    assert!(matches!(builder.push(&world.answer(1, 1)), Err(Error::Full(_))));

    let index = builder.finish(2).unwrap();
    drop(index);
    assert!(matches!(
        IndexBuilder::open(dir, &other, &world.sketcher),
        Err(Error::OtherPlan(_))
    ));
}

#[test]
fn an_index_without_rows_answers_nothing() {
    let world = World::new();
    let mut plan = world.plan.clone();
    for source in &mut plan.sources {
        for record in &mut source.records {
            record.tokens = 0;
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let index = IndexBuilder::open(dir.path(), &plan, &world.sketcher)
        .unwrap()
        .finish(2)
        .unwrap();
    index.verify(1).unwrap();
    let query = index.query(&world.answer(1, 1)).unwrap();
    assert!(index
        .list(&query, openledger_influence::cpu_backend(), 2)
        .unwrap()
        .is_empty());
    // Without a training gradient there is nothing to weigh by: the sketch is zero and valid.
    let view: SketchRef<'_> = query.sketch.view();
    assert_eq!(index.rule().check(view), Ok(()));
    assert!(query.sketch.lanes.iter().all(|lane| *lane == 0));
    assert!(query.leaves()[0].node(0).is_some());
}

#[test]
fn bases_are_judged_by_the_gradients_they_come_from() {
    let world = World::new();
    let index = world.build();
    let honest = |row: u64| Ok(unit_gradient(&world.sketcher, world.seed, &index.unit(row)?));
    assert_eq!(index.judge_bases(honest, 2).unwrap(), None);

    // Another machine's rounding: honest as well, though not a bit is the same.
    let rounded = |row: u64| {
        let unit = index.unit(row)?;
        let noise = 1.0 + 2e-6 * ((row * 37 % 11) as f32 / 11.0 - 0.5);
        let mut gradient = world.sketcher.start();
        let mut rng = common::Rng(world.seed ^ unit.row.wrapping_mul(0x1234_5678_9ABC_DEF1));
        let topic = world.seed ^ unit.record.contribution;
        let modules = world.sketcher.modules();
        let factors = common::factors(&mut rng, modules, topic, unit.tokens.len().min(20));
        for (module, (x, delta)) in factors.iter().enumerate() {
            let x: Vec<f32> = x.iter().map(|value| value * noise).collect();
            gradient.add(module, &x, delta)?;
        }
        Ok(gradient.finish())
    };
    assert_eq!(index.judge_bases(rounded, 1).unwrap(), None);

    // Bases of other rows: as many, but not these.
    let strange = |row: u64| {
        let other = index.unit((row + 1) % 3)?;
        Ok(unit_gradient(&world.sketcher, world.seed, &other))
    };
    assert!(index.judge_bases(strange, 2).unwrap().is_some());
}
