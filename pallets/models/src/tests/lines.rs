//! What generations descend from, and what that changes of a tariff.

use crate::{fixture, mock::*, Error, Lines};
use frame_support::{assert_noop, assert_ok};
use openledger_protocol::models::{tariff_of, Line, Recipe, Source, Stage};
use openledger_traits::{Ancestors, Asset, Models as _};

fn source(datanet: u64, version: u32) -> Vec<Source> {
    World::publish(datanet, version, fixture::root(5, 4));
    vec![Source {
        datanet,
        version,
        weight: 1,
    }]
}

/// The next generation of a model, all the way.
fn next(model: u64, sources: Vec<Source>, parent: Option<(u64, u32)>) -> u32 {
    assert_ok!(request_from(model, sources, parent));
    let number = crate::Models::<Test>::get(model).unwrap().generations;
    finish(model, number);
    number
}

#[test]
fn a_generation_from_its_base_should_have_no_ancestors() {
    scenario(|| {
        let model = created();
        let number = ready(model);
        assert_eq!(Lines::<Test>::get(model, number), None);
        assert_eq!(Models::ancestors(model, number), None);
        assert!(Models::accepts(model, number, &tariff(10, 20)));
        assert!(!Models::accepts(model, number, &stored(10, 20)));
    });
}

#[test]
fn a_generation_with_ancestors_should_be_charged_with_their_part() {
    scenario(|| {
        let model = created();
        let root = ready(model);
        let child = next(model, sources(), Some((model, root)));
        let line = Lines::<Test>::get(model, child).unwrap();
        assert_eq!(
            line,
            Line {
                parent: (model, root),
                nearer: Default::default(),
                root: (model, root),
                adds: false,
            }
        );
        assert!(!Models::accepts(model, child, &tariff(10, 20)));
        assert!(Models::accepts(model, child, &stored(10, 20)));
        assert_eq!(tariff_of(&stored(10, 20), Some(&line)), stored(10, 20));
    });
}

#[test]
fn only_ancestors_that_added_data_should_be_in_the_line_and_owners_should_be_those_of_now() {
    scenario(|| {
        let first = created();
        let root = next(first, source(1, 1), None);
        let again = next(first, source(1, 1), Some((first, root)));
        let earlier = next(first, source(1, 0), Some((first, again)));
        let second = created();
        let more = next(second, source(1, 2), Some((first, earlier)));
        let other = next(second, source(2, 0), Some((second, more)));
        let last = next(second, source(2, 0), Some((second, other)));
        let line = Lines::<Test>::get(second, last).unwrap();
        assert_eq!(line.nearer.to_vec(), [(second, other), (second, more)]);
        assert_eq!((line.root, line.adds), ((first, root), false));
        World::give(Asset::Model(second), &OTHER);
        assert_eq!(
            Models::ancestors(second, last),
            Some(Ancestors {
                nearer: vec![Some(OTHER), Some(OTHER)],
                root_owner: Some(OWNER),
                root_sources: source(1, 1),
            })
        );
    });
}

#[test]
fn a_parent_should_be_refused_when_its_adapter_does_not_fit() {
    scenario(|| {
        let model = created();
        let sources = sources();
        let request = |parent| request_from(model, sources.clone(), Some(parent));
        assert_noop!(request((9, 1)), Error::<Test>::NoParent);
        assert_noop!(request((model, 1)), Error::<Test>::NoParent);
        requested(model);
        assert_noop!(request((model, 1)), Error::<Test>::ParentNotReady);
        finish(model, 1);
        let wider = Recipe {
            rank: 16,
            ..fixture::recipe()
        };
        let deadline = System::block_number() as u32 + 100;
        assert_noop!(
            Models::request_training(
                signed(&OWNER),
                model,
                sources.clone().try_into().unwrap(),
                wider,
                fixture::rules(),
                PRICE,
                deadline,
                Some((model, 1)),
            ),
            Error::<Test>::ParentShape
        );
        assert_ok!(Models::register_base(
            signed(&OWNER),
            name("other"),
            name("MIT"),
            [3; 32],
            fixture::TOKENIZER
        ));
        let base = crate::NextBase::<Test>::get() - 1;
        assert_ok!(Models::create(signed(&OWNER), name("else"), base, 10, 20, mix()));
        assert_noop!(
            request_from(model + 1, sources.clone(), Some((model, 1))),
            Error::<Test>::ParentBase
        );
        // The same base under another number fits.
        let twin = created();
        assert_ok!(request_from(twin, sources.clone(), Some((model, 1))));
        // And one that was proved wrong is no parent any more.
        let Stage::Ready { index } = generation(model, 1).stage else {
            panic!("it was ready");
        };
        Models::void(model, 1, &index);
        assert_noop!(request((model, 1)), Error::<Test>::ParentNotReady);
    });
}
