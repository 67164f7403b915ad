//! Indexes that were proved wrong, and generations out of use.

use crate::{fixture, mock::*, Error, Event, Voided};
use frame_support::{assert_noop, assert_ok};
use openledger_attribution::{
    hash::NONE,
    index::index_seed,
    verdict::{judge_index, Doubt, Guilt, IndexEvidence, IndexFacts, Registry, Verdict},
};
use openledger_protocol::models::Stage;
use openledger_traits::Models as _;

/// The index that a generation answers with.
fn answering(model: u64, number: u32) -> openledger_attribution::hash::Hash {
    let Stage::Ready { index } = generation(model, number).stage else {
        panic!("generation {number} is not ready")
    };
    index
}

struct Nobody;
impl Registry for Nobody {
    fn contribution(&self, _: u64) -> Option<openledger_attribution::verdict::Contribution> {
        None
    }
}

#[test]
fn a_generation_whose_index_was_proved_wrong_should_answer_no_more_and_what_it_answered_be_paid() {
    scenario(|| {
        let model = created();
        let number = ready(model);
        let index = answering(model, number);
        let paid = Models::served(model, number);
        assert!(paid.is_some());
        // Another index of it was none.
        Models::void(model, number, &[1; 32]);
        assert_eq!(generation(model, number).stage, Stage::Ready { index });
        Models::void(model, number, &index);
        System::assert_last_event(
            Event::Voided {
                model,
                generation: number,
                index,
            }
            .into(),
        );
        assert_eq!(generation(model, number).stage, Stage::Failed);
        assert_eq!(Voided::<Test>::get(model, number), Some(index));
        assert!(!Models::accepts(model, number, &tariff(10, 20)));
        assert_eq!(Models::served(model, number), paid);
        Models::void(model, number + 7, &index);
        // The next generation is as good as any.
        let next = ready(model);
        assert!(Models::accepts(model, next, &tariff(10, 20)));
    });
}

#[test]
fn the_order_should_be_what_an_honest_index_was_delivered_for() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        let header_of = |number| index(model, number);
        trained(model, number);
        assert!(Models::order(&index_like(model, number)).is_none(), "no seed yet");
        run_to_seed(model, number);
        let (header, layout) = header_of(number);
        assert_ok!(deliver(
            model,
            number,
            &TRAINER,
            &indexed((header, layout.clone()))
        ));
        let order = Models::order(&header).unwrap();
        assert_eq!(header.seed, index_seed(&order.adapter, &order.randomness));
        let judge = |header| {
            let facts = IndexFacts {
                header,
                order: &order,
                registry: &Nobody,
            };
            judge_index(&facts, &IndexEvidence::Header(layout.clone()))
        };
        assert_eq!(judge(&header), Verdict::NotProven(Doubt::Right));
        let mut other = header;
        other.adapter = [9; 32];
        assert_eq!(judge(&other), Verdict::Guilty(Guilt::IndexOrder));
    });
}

/// A header of which only model and generation are looked at.
fn index_like(model: u64, generation: u32) -> openledger_attribution::index::IndexHeader {
    use openledger_attribution::{index::IndexHeader, tree::Root, verbatim::Verbatim};
    IndexHeader {
        builder: TRAINER.into(),
        model,
        generation,
        base: NONE,
        adapter: NONE,
        tokenizer: NONE,
        seed: NONE,
        layout: NONE,
        rules: fixture::rules(),
        bases: Root::EMPTY,
        sources: Root::EMPTY,
        corpus: Root::EMPTY,
        rows: Root::EMPTY,
        verbatim: Verbatim::NONE,
        retrieval: NONE,
    }
}

#[test]
fn a_generation_should_be_out_of_use_when_a_later_one_is_ready_or_its_model_stopped_long_ago() {
    scenario(|| {
        let model = created();
        let first = ready(model);
        assert!(!Models::is_retired(model, first));
        let second = requested(model);
        assert!(!Models::is_retired(model, first), "the second is not ready");
        trained(model, second);
        run_to_seed(model, second);
        assert_ok!(deliver(model, second, &TRAINER, &indexed(index(model, second))));
        assert!(Models::is_retired(model, first));
        assert!(!Models::is_retired(model, second));
        // Without the second the first is the best there is.
        Models::void(model, second, &answering(model, second));
        assert!(!Models::is_retired(model, first));

        let start = System::block_number();
        assert_ok!(Models::set_serving(signed(&OWNER), model, false));
        System::set_block_number(start + PRICE_HOLD);
        assert!(!Models::is_retired(model, first), "its answers can be charged");
        System::set_block_number(start + PRICE_HOLD + 1);
        assert!(Models::is_retired(model, first));
        assert_ok!(Models::set_serving(signed(&OWNER), model, true));
        assert!(!Models::is_retired(model, first));
    });
}

#[test]
fn nothing_should_be_trained_on_a_version_proved_wrong_but_what_was_ordered_be_finished() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        World::spoil(8, 3);
        assert_noop!(request(model), Error::<Test>::SourceVoid);
        trained(model, number);
        run_to_seed(model, number);
        assert_ok!(deliver(model, number, &TRAINER, &indexed(index(model, number))));
    });
}
