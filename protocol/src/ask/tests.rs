//! The two machines against each other, and the asking machine against lying servers, without I/O.

use std::sync::Arc;
use std::time::Duration;

use fingerprint::params::{MAX_LABELS, MAX_LABELS_PER_CANDIDATE};
use fingerprint::{Candidate, Catalogue, GlobalFrame, HalfFrame, Hash, Settings, Track, TrackId};
use psi::bins::Bins;
use psi::evaluate::ServedShard;
use psi::oprf::OprfKey;
use psi::shard::{Entry, Hint, Shard, ShardUid};
use psi::{LatticeSet, Params, ParamsSpec, PublicMasks};
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};

use super::*;
use crate::answer::refusals::{refuse_until, stale};
use crate::answer::{AnswerMachine, Snapshot, Work, evaluate};
use crate::frame::Frame;
use crate::manifest::{Manifest, ShardInfo};
use crate::token::AccessToken;
use crate::wire::{Digest, HEADER_BYTES, RefusalCode, Request, Response};

const START: u32 = 70_000;

fn spec(asked: u32) -> ParamsSpec {
    let set = LatticeSet::N2048Q47;
    ParamsSpec { set, points: 4, groups: 1, label_elements: 2, tag_elements: 0, asked }
}

fn key() -> Arc<OprfKey> {
    Arc::new(OprfKey::from_seed(&[5; 32]).unwrap())
}

fn track(start: u32, frames: u32) -> Track {
    let (id, title) = (TrackId(1), "the track".to_owned());
    Track { id, title, artist: String::new(), path: String::new(), start: GlobalFrame(start), frames }
}

fn manifest(spec: ParamsSpec, hints: &[Hint], catalogue: &[u8]) -> Manifest {
    let info = |(uid, hint): (u64, &Hint)| ShardInfo {
        uid: ShardUid(uid),
        group: 0,
        hint: Digest::of(hint.as_bytes()),
    };
    Manifest {
        spec,
        seed: [6; 16],
        key: key().id(),
        bins: Bins::default(),
        shards: (0..).zip(hints).map(info).collect(),
        attachment: Digest::of(catalogue),
        attachment_bytes: catalogue.len() as u64,
        application: postcard::to_extend(&Settings::default(), Vec::new()).unwrap(),
    }
}

/// `count` hashes of one track, one frame apart.
fn question(count: u32) -> Question {
    let candidate = |n: u32| Candidate {
        hash: Hash::pack(30 + n % 300, 40 + n / 300, n % 20),
        strength: -(n as f32),
        times: vec![HalfFrame(2 * n)],
    };
    Question { settings: Settings::default(), candidates: (0..count).map(candidate).collect(), seconds: 10.0 }
}

/// A server of one track, in one shard.
fn snapshot() -> Arc<Snapshot> {
    let (spec, key) = (spec(64), key());
    let params = Params::new(spec).unwrap();
    let masks = PublicMasks::derive(&params, &[6; 16]);
    let mut taken = std::collections::HashSet::new();
    let labels: Vec<_> = question(400)
        .candidates
        .iter()
        .zip(0..)
        .map(|(candidate, n)| (candidate.hash.0.to_le_bytes(), GlobalFrame(START + n).to_elements()))
        .filter(|(item, _)| taken.insert(Bins::default().of(&params, item)))
        .collect();
    let keys: Vec<_> = labels.iter().map(|(item, _)| key.item_key(item).unwrap()).collect();
    let entries = labels.iter().zip(&keys).map(|((item, label), key)| Entry {
        slot: Bins::default().of(&params, item),
        key,
        label,
    });
    let matrix = Arc::new(Shard::encode(&params, ShardUid(0), entries).unwrap().matrix(&params));
    let hints = vec![Hint::compute(&params, &matrix, &masks, 0)];
    let catalogue = Catalogue::new(vec![track(START, 1_000)]).unwrap().encode();
    let manifest = manifest(spec, &hints, &catalogue);
    let shards = vec![ServedShard { group: 0, matrix }];
    Arc::new(Snapshot::new(key, manifest, catalogue, hints, shards).unwrap())
}

/// The encoded response of the answering machine to a request.
fn respond(machine: &AnswerMachine, request: Request) -> Vec<u8> {
    let upload = |upload: Vec<u8>| [upload];
    let response = match machine.decide(request) {
        Ok(Work::Reply(reply)) => return reply.parts(&mut Vec::new()).concat(),
        Ok(Work::Evaluate(key, elements)) => evaluate(&key, &elements),
        Ok(Work::Query(snapshot, bytes)) => snapshot.answers(&upload(bytes)).remove(0),
        Ok(Work::Classify(model, bytes)) => model.scores(&upload(bytes)).remove(0),
        Err(refusal) => Err(refusal),
    };
    response.unwrap_or_else(Response::Refused).encode()
}

fn frame(bytes: &[u8]) -> Frame {
    Frame { kind: bytes[0], payload: bytes[HEADER_BYTES..].to_vec() }
}

/// Drives a job against a server that answers with `serve`. Also returns the waits.
fn drive<T, M>(
    mut job: Job<T, M>,
    mut serve: impl FnMut(Request) -> Vec<u8>,
) -> (Outcome<T, M>, Vec<Duration>) {
    let mut waits = Vec::new();
    loop {
        match job.step() {
            Step::Exchange(exchange) => {
                let sent = frame(&exchange.frame);
                let request = Request::decode(sent.kind, sent.payload).unwrap();
                let response = frame(&serve(request));
                assert!(response.payload.len() as u64 <= exchange.cap, "{}", exchange.what);
                job.receive(response);
            }
            Step::Wait(pause) => waits.push(pause),
            Step::Pace(_) => {}
            Step::Ended(_) => {}
            Step::Done(outcome) => return (outcome, waits),
        }
    }
}

fn machine(token: Option<AccessToken>) -> AskMachine {
    AskMachine::new(Arc::new(MemoryStore::default()), token)
}

#[test]
fn the_two_machines_name_a_track_without_a_socket() {
    let answering = AnswerMachine::new(snapshot());
    let asking = machine(None).ask(Sound::from(question(60)));
    let ((machine, sealed), _) = drive(asking, |request| respond(&answering, request));
    let kinds: Vec<u8> = {
        let mut machine = machine;
        let kinds = machine.traffic().records().iter().map(|record| record.kind).collect();
        let sealed = sealed.unwrap();
        assert_eq!(sealed.hashes(), 60);
        let named = sealed.open(&machine.end()).unwrap().vote(1);
        assert_eq!(named.tracks[0].title, "the track");
        assert!(named.verdict.best.is_some() && named.labels >= named.hashes_found);
        kinds
    };
    assert_eq!(kinds, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]); // manifest, catalogue, hints, OPRF, query
}

#[test]
fn another_sessions_end_opens_nothing() {
    let answering = AnswerMachine::new(snapshot());
    let ((machine, sealed), _) =
        drive(self::machine(None).ask(Sound::from(question(60))), |r| respond(&answering, r));
    assert!(matches!(sealed.unwrap().open(&self::machine(None).end()), Err(Error::StillOpen)));
    // It stays one session over a new connection and with another server's store.
    let ((machine, sealed), _) =
        drive(machine.moved(Arc::new(MemoryStore::default()), None).ask(Sound::from(question(60))), |r| {
            respond(&answering, r)
        });
    assert!(sealed.unwrap().open(&machine.end()).is_ok());
}

/// A monitor's answer opens while its machine goes on asking.
#[test]
fn beside_a_timetable_an_answer_opens_before_the_end() {
    let answering = AnswerMachine::new(snapshot());
    let asking = machine(None).beside().ask(Sound::from(question(60)));
    let ((machine, first), _) = drive(asking, |request| respond(&answering, request));
    assert_eq!(first.unwrap().open_beside().unwrap().vote(1).tracks[0].title, "the track");
    let machine = machine.moved(Arc::new(MemoryStore::default()), None);
    assert!(machine.held().is_none());
    let ((machine, second), _) =
        drive(machine.ask(Sound::from(question(60))), |request| respond(&answering, request));
    assert!(machine.held().is_some());
    assert!(second.unwrap().open_beside().unwrap().vote(1).verdict.best.is_some());
}

#[test]
fn a_sound_without_a_fingerprint_sends_the_same_messages() {
    let answering = AnswerMachine::new(snapshot());
    let records = |samples: Vec<f32>| {
        let asking = machine(None).ask(Sound::Samples(Arc::new(samples)));
        let ((mut machine, sealed), _) = drive(asking, |request| respond(&answering, request));
        let records = machine.traffic().records().to_vec();
        (records, sealed.unwrap().open(&machine.end()).unwrap().vote(1))
    };
    let (silent, nothing) = records(vec![0.0; 80_000]);
    assert!(nothing.fault.is_some() && nothing.hashes_asked == 0 && nothing.labels == 0);
    let mut random = StdRng::seed_from_u64(1);
    let (loud, something) = records((0..80_000).map(|_| random.gen_range(-0.5..0.5)).collect());
    assert!(something.fault.is_none() && something.hashes_asked > 0);
    assert_eq!(silent, loud);
    assert_eq!(records(Vec::new()).0, loud);
}

/// A fingerprint takes a time that depends on the recording. The machine must never send anything after that time alone.
#[test]
fn a_fingerprint_between_two_messages_waits_for_its_slot() {
    let answering = AnswerMachine::new(snapshot());
    let slots = |sound: Sound| {
        let (mut job, mut sent, mut slots) = (machine(None).ask(sound), 0, Vec::new());
        loop {
            match job.step() {
                Step::Exchange(exchange) => {
                    sent += 1;
                    let asked = frame(&exchange.frame);
                    let request = Request::decode(asked.kind, asked.payload).unwrap();
                    job.receive(frame(&respond(&answering, request)));
                }
                Step::Pace(slot) => slots.push((sent, slot)),
                Step::Wait(_) | Step::Ended(_) => {}
                Step::Done((_, sealed)) => return sealed.map(|_| slots).unwrap(),
            }
        }
    };
    let mut random = StdRng::seed_from_u64(1);
    let noise: Arc<Vec<f32>> = Arc::new((0..80_000).map(|_| random.gen_range(-0.5..0.5)).collect());
    let silence = Arc::new(vec![0.0; 80_000]);
    // Manifest, catalogue and hints come before, the OPRF after.
    let ten_seconds = [(3, Duration::from_millis(300))];
    assert_eq!(slots(Sound::Samples(noise.clone())), ten_seconds);
    assert_eq!(slots(Sound::Samples(silence.clone())), ten_seconds);
    let expected = Settings::default();
    let other = Settings { frequency_step_hz: 5.0, ..expected.clone() };
    for sound in [noise, silence] {
        assert_eq!(slots(Sound::fingerprinted(sound.clone(), &expected)), []);
        assert_eq!(slots(Sound::fingerprinted(sound, &other)), ten_seconds, "a server with other settings");
    }
    assert_eq!(slots(Sound::from(question(60))), []);
}

#[test]
fn a_prepared_question_is_the_same_question() {
    let answering = AnswerMachine::new(snapshot());
    let ((machine, synced), _) = drive(machine(None).sync(), |request| respond(&answering, request));
    let prepared = synced.unwrap().prepare(Sound::from(question(60))).unwrap();
    assert_eq!(prepared.hashes(), Some(60));
    let mut stages = Vec::new();
    let mut job = machine.ask(prepared);
    let (machine, sealed) = loop {
        match job.step() {
            Step::Exchange(exchange) => {
                let sent = frame(&exchange.frame);
                job.receive(frame(&respond(&answering, Request::decode(sent.kind, sent.payload).unwrap())));
            }
            Step::Ended(stage) => stages.push(stage),
            Step::Wait(_) | Step::Pace(_) => {}
            Step::Done(outcome) => break outcome,
        }
    };
    assert_eq!(stages, [Stage::Setup, Stage::Fingerprint, Stage::Oprf, Stage::Encrypt, Stage::Server]);
    assert!(sealed.unwrap().open(&machine.end()).unwrap().vote(1).verdict.best.is_some());
}

#[test]
fn a_busy_server_is_asked_again_three_times_with_the_same_bytes() {
    let mut sent = Vec::new();
    let busy = |request: Request| {
        sent.push(request.encode());
        Response::Refused(refuse_until(RefusalCode::Busy, 9_000, "later")).encode()
    };
    let ((_, outcome), waits) = drive(machine(None).ask(Sound::from(question(1))), busy);
    assert!(matches!(outcome, Err(Error::Busy(_))));
    assert_eq!(waits, [Duration::from_secs(5); 3]);
    assert!(sent.len() == 4 && sent.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_server_that_is_always_stale_is_given_up_and_sees_fresh_questions_only() {
    let answering = AnswerMachine::new(snapshot());
    let mut evaluated = Vec::new();
    let lie = |request: Request| match request {
        Request::Query { .. } => Response::Refused(stale()).encode(),
        request => {
            if let Request::Evaluate(elements) = &request {
                evaluated.push(elements.clone());
            }
            respond(&answering, request)
        }
    };
    let ((_, outcome), _) = drive(machine(None).ask(Sound::from(question(60))), lie);
    assert!(matches!(outcome, Err(Error::Refused(refusal)) if refusal.code == RefusalCode::Stale));
    assert_eq!(evaluated.len(), 4);
    assert!((0..4).all(|a| (0..a).all(|b| evaluated[a][..32] != evaluated[b][..32])));
}

#[test]
fn a_token_is_shown_once_per_connection_and_before_anything_else() {
    let answering = AnswerMachine::new(snapshot());
    let mut kinds = Vec::new();
    let mut serve = |request: Request| {
        kinds.push(request.encode()[0]);
        respond(&answering, request)
    };
    let machine = machine(Some(AccessToken::from_bytes([1; 32])));
    let ((machine, _), _) = drive(machine.greet(), &mut serve);
    let ((mut machine, _), _) = drive(machine.sync(), &mut serve);
    machine.reconnected();
    let ((_, sealed), _) = drive(machine.ask(Sound::from(question(9))), &mut serve);
    assert!(sealed.is_ok());
    assert_eq!(kinds, [6, 1, 2, 3, 6, 1, 4, 5]);
}

#[test]
fn a_driver_without_a_response_gets_its_machine_back() {
    let mut job = machine(None).sync();
    assert!(matches!(job.step(), Step::Exchange(_)));
    let Step::Done((machine, outcome)) = job.step() else { panic!("the job goes on") };
    assert!(matches!(outcome, Err(Error::NoResponse)));
    let answering = AnswerMachine::new(snapshot());
    assert!(drive(machine.sync(), |request| respond(&answering, request)).0.1.is_ok());
}

#[test]
fn a_question_of_other_settings_is_an_error_before_anything_of_it_is_sent() {
    let answering = AnswerMachine::new(snapshot());
    let settings = Settings { frequency_step_hz: 5.0, ..Settings::default() };
    let other = Question { settings, ..question(60) };
    let mut kinds = Vec::new();
    let ((_, outcome), _) = drive(machine(None).ask(Sound::from(other)), |request| {
        kinds.push(request.encode()[0]);
        respond(&answering, request)
    });
    assert!(matches!(outcome, Err(Error::SettingsChanged)));
    assert_eq!(kinds, [1, 2, 3]);
}

/// The largest catalogue that a manifest may name, from a server that wants to overload its client: every label of
/// every hash, from every shard, falls on one track that covers the whole time line.
#[test]
fn four_thousand_hostile_shards_leave_a_bounded_number_of_labels() {
    const SHARDS: usize = psi::params::MAX_SHARDS;
    let params = Params::new(spec(2_048)).unwrap();
    let mut random = StdRng::seed_from_u64(2);
    let mut bytes = |length: usize| {
        let mut bytes = vec![0; length];
        random.fill_bytes(&mut bytes);
        bytes
    };
    let hint = Hint::from_bytes(&params, bytes(params.hint_bytes())).unwrap();
    let hints = vec![hint; SHARDS];
    let catalogue = Catalogue::new(vec![track(0, u32::MAX)]).unwrap().encode();
    let manifest = manifest(spec(2_048), &hints, &catalogue).encode();
    let answer = bytes(SHARDS * params.answer_bytes());
    let serve = |request: Request| {
        let response = match request {
            Request::Manifest { .. } => Response::Manifest(manifest.clone()),
            Request::Attachment(_) => Response::Attachment(catalogue.clone()),
            Request::Hints(uids) => Response::Hints(hints[0].as_bytes().repeat(uids.len())),
            Request::Evaluate(elements) => evaluate(&key(), &elements).unwrap(),
            _ => Response::Answer(answer.clone()),
        };
        response.encode()
    };
    let ((machine, sealed), _) = drive(machine(None).ask(Sound::from(question(6_000))), serve);
    let sealed = sealed.unwrap();
    let asked = sealed.hashes_asked();
    assert!(asked > 1_000 && asked * SHARDS > 4 * MAX_LABELS);
    let named = sealed.open(&machine.end()).unwrap().vote(3);
    assert_eq!(named.labels, MAX_LABELS);
    assert!(named.hashes_found <= MAX_LABELS / MAX_LABELS_PER_CANDIDATE + 1, "{}", named.hashes_found);
}
