//! The whole protocol in memory, at full parameters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use psi::bins::Bins;
use psi::evaluate::{ServedShard, answer};
use psi::oprf::{ItemKey, OprfKey};
use psi::pack::{BinPacker, Wanted};
use psi::query::{AskedKey, KnownShard, Returned};
use psi::shard::{Entry, Hint, Shard, ShardUid};
use psi::{Asker, Error, Evaluator, LatticeSet, Params, ParamsSpec, PublicMasks, query};
use rand::{Rng, thread_rng};

/// A small server: items with labels, packed into shards.
struct Server {
    params: Params,
    key: Arc<OprfKey>,
    masks: Arc<PublicMasks>,
    shards: Vec<(ShardUid, usize, Hint, ServedShard)>,
    dropped: usize,
}

/// One query as the client sees it.
struct Asking {
    /// (item, label) of everything unmasked.
    labels: Vec<(u32, Vec<u16>)>,
    /// Items that the bins had room for.
    asked: BTreeSet<u32>,
    upload: Vec<u8>,
}

impl Server {
    fn new(spec: ParamsSpec, shards_per_group: usize, postings: &[(Vec<u8>, Vec<u16>)]) -> Server {
        let params = Params::new(spec).unwrap();
        let key = Arc::new(OprfKey::from_seed(&[5; 32]).unwrap());
        let masks = Arc::new(PublicMasks::derive(&params, &[6; 16]));
        let keys: Vec<ItemKey> = postings.iter().map(|(item, _)| key.item_key(item).unwrap()).collect();
        let mut bins_of: BTreeMap<u32, BTreeMap<u32, Vec<usize>>> = BTreeMap::new();
        for (index, ((item, _), item_key)) in postings.iter().zip(&keys).enumerate() {
            let bin = bins_of.entry(Bins::default().of(&params, item)).or_default();
            bin.entry(item_key.residue()).or_default().push(index);
        }
        let mut places: BTreeMap<(usize, usize), Vec<Entry>> = BTreeMap::new();
        let mut placed = 0;
        for (bin, by_residue) in bins_of {
            let wanted: Vec<Wanted> = by_residue
                .iter()
                .map(|(&residue, indices)| Wanted { residue, count: indices.len() })
                .collect();
            let packed = BinPacker::new(shards_per_group, params.points()).pack(&wanted);
            for (&index, shard) in
                by_residue.values().zip(packed).flat_map(|(i, shards)| i.iter().zip(shards))
            {
                let (group, slot) = (bin as usize / params.degree(), bin % params.degree() as u32);
                let entry = Entry { slot, key: &keys[index], label: &postings[index].1 };
                places.entry((group, shard)).or_default().push(entry);
                placed += 1;
            }
        }
        let dropped = postings.len() - placed;
        let encode = |(uid, ((group, _), entries)): (usize, ((usize, usize), Vec<Entry>))| {
            let uid = ShardUid(1000 + uid as u64);
            let shard = Shard::encode(&params, uid, entries).unwrap();
            // Through the form at rest, as the database does.
            let shard = Shard::from_bytes(&params, uid, &shard.to_bytes()).unwrap();
            let matrix = Arc::new(shard.matrix(&params));
            let hint = Hint::compute(&params, &matrix, &masks, group);
            (uid, group, hint, ServedShard { group, matrix })
        };
        let shards = places.into_iter().enumerate().map(encode).collect();
        Server { params, key, masks, shards, dropped }
    }

    fn asker(&self) -> Asker {
        Asker::new(self.params, Bins::default(), self.masks.clone()).unwrap()
    }

    fn evaluator(&self) -> Evaluator {
        let served = self.shards.iter().map(|shard| shard.3.clone()).collect();
        Evaluator::new(self.params, self.key.clone(), served).unwrap()
    }

    /// Asks for `items` through every message.
    fn ask(&self, items: &[Vec<u8>]) -> Asking {
        let blinded = self.asker().blind(items).unwrap();
        let sources = blinded.sources();
        let evaluated = self.evaluator().evaluate(blinded.message()).unwrap();
        let (upload, pending) = blinded.unblind(&evaluated).unwrap().encrypt().unwrap();
        assert_eq!(upload.len(), self.params.upload_bytes());
        let reply = self.evaluator().answer(&upload).unwrap();
        assert_eq!(reply.len(), self.shards.len() * self.params.answer_bytes());
        let known: Vec<KnownShard> = self
            .shards
            .iter()
            .map(|(uid, group, hint, _)| KnownShard { uid: *uid, group: *group, hint })
            .collect();
        let label = |r: Returned| Some((sources[r.item as usize] as u32, r.label.to_vec()));
        let labels = pending.open(&known, &reply, label).unwrap();
        let asked_items = sources.iter().map(|&source| source as u32).collect();
        Asking { labels, asked: asked_items, upload }
    }
}

fn spec(set: LatticeSet, points: u16, groups: u8, label_elements: u8, tag_elements: u8) -> ParamsSpec {
    ParamsSpec { set, points, groups, label_elements, tag_elements, asked: 600 }
}

fn item(i: u32) -> Vec<u8> {
    i.to_le_bytes().to_vec()
}

/// Every asked item returns exactly its labels. Absent items return none that was ever inserted.
fn check_labels(spec: ParamsSpec, seed_items: u32) {
    let mut rng = thread_rng();
    let mut expected: BTreeMap<u32, BTreeSet<Vec<u16>>> = BTreeMap::new();
    let mut postings = Vec::new();
    for i in 0..seed_items {
        // Item 3 has many labels, a tenth of the others two, the rest one.
        let labels = if i == 3 { 9 } else { 1 + u32::from(i % 10 == 0) };
        for _ in 0..labels {
            // Every label begins with 7, which makes false ones stand out.
            let mut label: Vec<u16> = (0..spec.label_elements).map(|_| rng.r#gen()).collect();
            label[0] = 7;
            expected.entry(i).or_default().insert(label.clone());
            postings.push((item(i), label));
        }
    }
    let server = Server::new(spec, 12, &postings);
    assert_eq!(server.dropped, 0);

    let asked: Vec<u32> = (0..300).chain(1_000_000..1_000_300).collect(); // half of them absent
    let asking = server.ask(&asked.iter().map(|&i| item(i)).collect::<Vec<_>>());
    let (returned, really_asked) = (asking.labels, asking.asked);
    let mut by_item: BTreeMap<u32, BTreeSet<Vec<u16>>> = BTreeMap::new();
    for (index, label) in returned.into_iter().filter(|(_, label)| label[0] == 7) {
        by_item.entry(asked[index as usize]).or_default().insert(label);
    }
    assert!(really_asked.len() > 400);
    let mut noise = 0;
    for index in really_asked {
        let i = asked[index as usize];
        let labels = by_item.remove(&i).unwrap_or_default();
        let wanted = expected.get(&i).cloned().unwrap_or_default();
        assert!(wanted.is_subset(&labels), "item {i}");
        let inserted: BTreeSet<&Vec<u16>> = expected.values().flatten().collect();
        for label in labels.difference(&wanted) {
            assert!(!inserted.contains(label) || spec.label_elements == 1);
            noise += 1;
        }
    }
    // Without a tag one label in 65,537 of the noise happens to begin with 7.
    assert!(noise <= if spec.tag_elements == 0 { 6 } else { 0 }, "{noise}");
}

#[test]
fn present_items_return_their_labels_and_absent_ones_none() {
    check_labels(spec(LatticeSet::N2048Q47, 8, 1, 2, 0), 40_000);
}

#[test]
fn with_a_tag_only_members_answer() {
    check_labels(spec(LatticeSet::N2048Q47, 8, 1, 1, 2), 20_000);
}

#[test]
fn several_groups_and_the_larger_lattice_work_alike() {
    check_labels(spec(LatticeSet::N2048Q47, 6, 2, 3, 1), 20_000);
    check_labels(spec(LatticeSet::N4096Q50, 6, 1, 2, 1), 20_000);
}

#[test]
fn two_items_with_one_residue_in_one_bin_both_answer() {
    let params = Params::new(spec(LatticeSet::N2048Q47, 4, 1, 2, 1)).unwrap();
    let key = OprfKey::from_seed(&[5; 32]).unwrap();
    // A collision of bin and residue: one pair in 2^27, so 40,000 items hold about six.
    let mut seen = BTreeMap::new();
    let (first, second) = (0..u32::MAX)
        .find_map(|i| {
            let place = (Bins::default().of(&params, &item(i)), key.item_key(&item(i)).unwrap().residue());
            seen.insert(place, i).map(|earlier| (earlier, i))
        })
        .unwrap();
    let postings = [(item(first), vec![1, 1]), (item(second), vec![2, 2])];
    let server = Server::new(params.spec(), 2, &postings);
    assert_eq!(server.shards.len(), 2);
    assert_eq!(server.ask(&[item(first)]).labels, [(0, vec![1, 1])]);
    assert_eq!(server.ask(&[item(second)]).labels, [(0, vec![2, 2])]);
}

#[test]
fn queries_share_no_bytes_and_answers_no_errors() {
    let server = Server::new(spec(LatticeSet::N2048Q47, 8, 1, 2, 0), 2, &[(item(1), vec![1, 2])]);
    let first = server.ask(&[item(1)]).upload;
    let second = server.ask(&[item(1)]).upload;
    // Eight equal bytes in a row at one place: 2^-64 each by chance.
    let shared = first.windows(8).zip(second.windows(8)).any(|(a, b)| a == b);
    assert!(first != second && !shared);
}

#[test]
fn hostile_uploads_and_answers_are_refused() {
    let server = Server::new(spec(LatticeSet::N2048Q47, 8, 1, 2, 0), 1, &[(item(1), vec![1, 2])]);
    let served: Vec<ServedShard> = server.shards.iter().map(|s| s.3.clone()).collect();
    let bytes = server.params.upload_bytes();
    let refuse = |upload: &[u8]| answer(&server.params, &served, upload).err().unwrap();
    assert!(matches!(refuse(&vec![0; bytes - 1]), Error::Length { .. }));
    assert!(matches!(refuse(&[]), Error::Length { .. }));
    assert!(matches!(refuse(&vec![0xff; bytes]), Error::ValueRange { .. })); // coefficients of q or more
    assert!(answer(&server.params, &served, &vec![0; bytes]).is_ok());

    let open = |shards: &[KnownShard], reply: &[u8]| {
        let (_, pending) = query::encrypt(&server.params, &server.masks, vec![], &mut thread_rng()).unwrap();
        pending.open(shards, reply, |_| Some(())).err().unwrap()
    };
    let hint = &server.shards[0].2;
    assert!(matches!(open(&[], &[0]), Error::Length { .. }));
    let stray = KnownShard { uid: ShardUid(1), group: 1, hint };
    assert!(matches!(open(&[stray], &vec![0; server.params.answer_bytes()]), Error::ValueRange { .. }));
}

#[test]
fn one_bin_is_asked_once() {
    let params = Params::new(spec(LatticeSet::N2048Q47, 8, 1, 2, 0)).unwrap();
    let masks = PublicMasks::derive(&params, &[6; 16]);
    let key = OprfKey::from_seed(&[5; 32]).unwrap().item_key(b"item").unwrap();
    let ask = |bins: &[u32]| {
        let keys = bins.iter().map(|&bin| AskedKey { item: Some(0), bin, key: key.clone() }).collect();
        query::encrypt(&params, &masks, keys, &mut thread_rng()).err()
    };
    assert_eq!(ask(&[1, 1]), Some(Error::ValueRange { what: "bin" }));
    assert_eq!(ask(&[2048]), Some(Error::ValueRange { what: "bin" }));
    assert_eq!(ask(&[0, 2047]), None);
}
