//! Which generations answer.

use crate::{mock::*, Event, StoppedUntil};
use frame_support::assert_ok;
use openledger_attribution::wire::Object;
use openledger_protocol::models::Stage;
use openledger_traits::{Asset, Models as _, OnOutcome, Served};

#[test]
fn a_generation_should_answer_only_when_it_is_ready() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        let answers = || {
            (
                Models::served(model, number),
                Models::accepts(model, number, &tariff(10, 20)),
            )
        };
        assert_eq!(answers(), (None, false));
        trained(model, number);
        assert_eq!(answers(), (None, false));
        run_to_seed(model, number);
        assert_eq!(answers(), (None, false));
        let (header, layout) = index(model, number);
        assert_ok!(deliver(model, number, &TRAINER, &indexed((header, layout))));
        let served = Served {
            owner: Some(OWNER),
            index: header.hash(),
            sources: sources(),
        };
        assert_eq!(answers(), (Some(served), true));
        assert_eq!(Models::served(model, number + 1), None);
        assert_eq!(Models::served(model + 1, number), None);
        // Income goes where the item goes.
        World::give(Asset::Model(model), &OTHER);
        assert_eq!(Models::served(model, number).unwrap().owner, Some(OTHER));
    });
}

#[test]
fn a_generation_should_not_answer_when_it_failed() {
    scenario(|| {
        let model = created();
        let first = ready(model);
        let number = requested(model);
        let job = generation(model, number).job;
        Models::failed(job, &World::job(job).0);
        assert_eq!(generation(model, number).stage, Stage::Failed);
        assert!(!Models::accepts(model, number, &tariff(10, 20)));
        // The one before is not touched.
        assert!(Models::accepts(model, first, &tariff(10, 20)));
    });
}

#[test]
fn what_was_answered_should_be_charged_for_a_while_when_serving_stops() {
    scenario(|| {
        let model = created();
        let number = ready(model);
        let accepts = || Models::accepts(model, number, &tariff(10, 20));
        let start = System::block_number();
        assert_ok!(Models::set_serving(signed(&OWNER), model, false));
        System::assert_last_event(
            Event::ServingSet {
                model,
                serving: false,
            }
            .into(),
        );
        assert!(!crate::Models::<Test>::get(model).unwrap().serving);
        System::set_block_number(start + PRICE_HOLD);
        assert!(accepts());
        // To stop what has stopped does not make it longer.
        assert_ok!(Models::set_serving(signed(&OWNER), model, false));
        System::set_block_number(start + PRICE_HOLD + 1);
        assert!(!accepts());
        // It is still known what it was trained on: an answer may be disputed.
        assert!(Models::served(model, number).is_some());
        assert_ok!(Models::set_serving(signed(&OWNER), model, true));
        assert!(accepts());
        assert_eq!(StoppedUntil::<Test>::get(model), None);
    });
}
