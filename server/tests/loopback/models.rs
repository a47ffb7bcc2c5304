//! Linear models beside the catalogue: exact scores over QUIC, models that come, change and go.

use client::ask::Error as AskError;
use client::{Cache, Error};
use psi::LatticeSet;
use psi::linear::{LinearParams, LinearSpec};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use server::Model;
use std::fs;
use std::sync::Arc;
use support::Asking;

use crate::caching::received;
use crate::support::*;

const FEATURES: u16 = 200;

/// A model with random weights drawn from `seed`, and these weights.
fn model(name: &str, classes: u32, seed: u64) -> (Arc<Model>, Vec<i8>) {
    let spec = LinearSpec::choose(LatticeSet::N2048Q47, FEATURES, classes).unwrap();
    let params = LinearParams::new(spec).unwrap();
    let mut rng = StdRng::seed_from_u64(seed);
    let weights: Vec<i8> =
        (0..params.classes() * params.features()).map(|_| rng.gen_range(-127..=127)).collect();
    let public = format!("what {name} means, {seed}").into_bytes();
    let model = Model::new(name, &params, public, &weights, rng.r#gen(), &rng.r#gen()).unwrap();
    (Arc::new(model), weights)
}

fn features(seed: u64) -> Vec<i8> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..FEATURES).map(|_| rng.gen_range(-127..=127)).collect()
}

fn in_the_clear(weights: &[i8], features: &[i8]) -> Vec<i32> {
    let score =
        |weights: &[i8]| weights.iter().zip(features).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum();
    weights.chunks_exact(features.len()).map(score).collect()
}

async fn ask(client: &mut Asking, name: &str, x: Vec<i8>) -> Result<Vec<i32>, Error> {
    client.scores(name, &x).await
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_are_those_in_the_clear() {
    let (server, key) = serve(config(), snapshot(&[0]));
    let ((moods, mood_weights), (voices, voice_weights)) = (model("moods", 7, 1), model("voices", 900, 2));
    server.set_models(vec![moods, voices]).unwrap();
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    let offers = client.models().await.unwrap();
    assert_eq!(offers.iter().map(|offer| offer.name.as_str()).collect::<Vec<_>>(), ["moods", "voices"]);
    for seed in 0..4 {
        let x = features(seed);
        assert!(ask(&mut client, "moods", x.clone()).await.unwrap() == in_the_clear(&mood_weights, &x));
        assert!(ask(&mut client, "voices", x.clone()).await.unwrap() == in_the_clear(&voice_weights, &x));
    }
    assert_eq!(client.model("moods").await.unwrap().public(), b"what moods means, 1");
    assert_eq!(server.counters().classifications, 8);
    // The catalogue is still answered on the same connection.
    ask_and_check(&mut client, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_get_each_their_own() {
    let (server, key) = serve(config(), snapshot(&[0]));
    let (moods, weights) = model("moods", 50, 3);
    server.set_models(vec![moods]).unwrap();
    let mut running = tokio::task::JoinSet::new();
    for seed in 0..12 {
        let (address, weights) = (server.local_addr(), weights.clone());
        running.spawn(async move {
            let mut client = connect(address, key, &Cache::in_memory()).await;
            let x = features(100 + seed);
            assert!(ask(&mut client, "moods", x.clone()).await.unwrap() == in_the_clear(&weights, &x));
        });
    }
    running.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_changes_is_fetched_anew_and_one_that_goes_is_missed() {
    let (server, key) = serve(config(), snapshot(&[0]));
    let (first, first_weights) = model("moods", 7, 4);
    let (other, _) = model("other", 7, 5);
    server.set_models(vec![first, other.clone()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::in_folder(folder.path());
    let mut client = connect(server.local_addr(), key, &cache).await;
    let x = features(9);
    assert!(ask(&mut client, "moods", x.clone()).await.unwrap() == in_the_clear(&first_weights, &x));
    // One more class: other weights and other hints, on the same connection.
    let (second, second_weights) = model("moods", 8, 6);
    server.set_models(vec![second, other.clone()]).unwrap();
    let scores = ask(&mut client, "moods", x.clone()).await.unwrap();
    assert!(scores.len() == 8 && scores == in_the_clear(&second_weights, &x));
    // A returning client has the parts on disk, and sends only the list and the classification.
    let mut again = connect(server.local_addr(), key, &cache).await;
    assert!(ask(&mut again, "moods", x.clone()).await.unwrap() == scores);
    assert_eq!(received(&again).iter().map(|&(kind, _)| kind).collect::<Vec<_>>(), [9, 10]);
    // Unused parts are not kept: one public part, one list of hints.
    let parts = fs::read_dir(folder.path().join(key.to_string())).unwrap();
    let names = parts.map(|part| part.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("model-")).count(), 2);
    server.set_models(vec![other]).unwrap();
    let gone = ask(&mut client, "moods", x).await.unwrap_err();
    assert!(matches!(&gone, Error::Ask(AskError::NoModel { there, .. }) if there == &["other"]), "{gone}");
    assert!(gone.to_string().contains("it has other"), "{gone}");
}

/// A smaller model replaces this one, so the old upload is too long for any request: that is stale, not wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_shrinks_is_fetched_anew() {
    let (server, key) = serve(config(), snapshot(&[0]));
    server.set_models(vec![model("moods", 20_000, 7).0]).unwrap();
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    let x = features(3);
    assert_eq!(ask(&mut client, "moods", x.clone()).await.unwrap().len(), 20_000);
    let (small, weights) = model("moods", 2, 8);
    server.set_models(vec![small]).unwrap();
    assert_eq!(ask(&mut client, "moods", x.clone()).await.unwrap(), in_the_clear(&weights, &x));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_models_says_so() {
    let (server, key) = serve(config(), snapshot(&[0]));
    let mut client = connect(server.local_addr(), key, &Cache::in_memory()).await;
    assert_eq!(client.models().await.unwrap(), []);
    let none = ask(&mut client, "moods", features(1)).await.unwrap_err();
    assert!(none.to_string().contains("it has none"), "{none}");
}

#[test]
fn names_that_clients_would_refuse_are_refused_here() {
    let params = LinearParams::new(LinearSpec::choose(LatticeSet::N2048Q47, 1, 1).unwrap()).unwrap();
    for name in ["", "a\tb", &"x".repeat(65)] {
        assert!(Model::new(name, &params, Vec::new(), &[1], [0; 16], &[0; 32]).is_err(), "{name:?}");
    }
    assert!(Model::new("good", &params, Vec::new(), &[-128], [0; 16], &[0; 32]).is_err());
}
