//! Is this host on your blocklist? Asks without naming the host: the same protocol, no audio.
//!
//! `cargo run --release -p psi-shazam-psi --example blocklist -- tracker.example news.example`

use std::sync::Arc;

use psi::bins::Bins;
use psi::evaluate::ServedShard;
use psi::oprf::{ItemKey, OprfKey};
use psi::query::KnownShard;
use psi::shard::{Entry, Hint, Shard, ShardUid};
use psi::{Asker, Error, Evaluator, LatticeSet, Params, ParamsSpec, PublicMasks};

const CATEGORIES: [&str; 3] = ["advertising", "malware", "phishing"];
const LIST: [(&str, u16); 4] =
    [("ads.example", 0), ("tracker.example", 0), ("worm.example", 1), ("bank-login.example", 2)];

fn main() -> Result<(), Error> {
    // One label element (the category) and a tag of two elements: a false answer has probability 2^-32.
    let set = LatticeSet::N2048Q47;
    let spec = ParamsSpec { set, points: 4, groups: 1, label_elements: 1, tag_elements: 2, asked: 16 };
    let params = Params::new(spec)?;
    let masks = Arc::new(PublicMasks::derive(&params, &[0; 16]));

    // The server encodes its list once; a list this short fits one shard.
    let key = OprfKey::from_seed(&OprfKey::generate_seed())?;
    let keys: Vec<ItemKey> =
        LIST.iter().map(|(host, _)| key.item_key(host.as_bytes())).collect::<Result<_, _>>()?;
    let entries = LIST.iter().zip(&keys).map(|((host, category), key)| Entry {
        slot: Bins::default().of(&params, host.as_bytes()),
        key,
        label: std::slice::from_ref(category),
    });
    let uid = ShardUid(0);
    let matrix = Arc::new(Shard::encode(&params, uid, entries)?.matrix(&params));
    let hint = Hint::compute(&params, &matrix, &masks, 0);
    let evaluator = Evaluator::new(params, Arc::new(key), vec![ServedShard { group: 0, matrix }])?;

    // The client blinds its hosts, the server evaluates, the client encrypts, the server answers.
    let hosts: Vec<String> = std::env::args().skip(1).collect();
    let blinded = Asker::new(params, Bins::default(), masks)?.blind(&hosts)?;
    let asked = blinded.sources();
    let evaluated = evaluator.evaluate(blinded.message())?;
    let (upload, pending) = blinded.unblind(&evaluated)?.encrypt()?;
    let reply = evaluator.answer(&upload)?;
    let known = [KnownShard { uid, group: 0, hint: &hint }];
    let found = pending.open(&known, &reply, |r| Some((asked[r.item as usize], r.label[0])))?;
    for &(host, category) in &found {
        println!("{}: {}", hosts[host], CATEGORIES[usize::from(category)]);
    }
    println!(
        "{} of {} hosts listed; the server saw {} random-looking bytes",
        found.len(),
        hosts.len(),
        upload.len()
    );
    Ok(())
}
