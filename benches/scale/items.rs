//! General use of `psi`, at the size that other libraries report: a million items with labels of 8 bytes. A client asks
//! 1,024 items.
//!
//! Every item is asked. Items that share a bin go into further queries with fresh secrets. The OPRF runs once for all
//! items, so the client's half is put together here: an `Asker` would run it for every query. A tag of two elements identifies members, with a false positive rate of 2^-32.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::{Result, ensure};
use psi::bins::Bins;
use psi::evaluate::ServedShard;
use psi::oprf::{self, ItemKey, OprfKey};
use psi::pack::{BinPacker, Wanted};
use psi::query::{self, AskedKey, KnownShard};
use psi::shard::{Entry, Hint, Shard, ShardUid};
use psi::{Evaluator, LatticeSet, Params, ParamsSpec, PublicMasks};
use rand::thread_rng;
use serde::Serialize;
use support::{Memory, memory_bytes};

use crate::process;

/// Runs of the server's parts per figure, which is their mean, because CPU time has a resolution of 10 ms.
const RUNS: usize = 20;
/// Number of 16-bit elements of a label: 8 bytes.
const LABEL_ELEMENTS: u8 = 4;
const TAG_ELEMENTS: u8 = 2;
const MASK_SEED: [u8; 16] = [3; 16];

/// The measured costs. CPU seconds are the sum over all cores.
#[derive(Debug, Serialize)]
pub struct Items {
    pub items: u32,
    pub asked: u32,
    pub members_found: usize,
    pub queries: usize,
    pub groups: u8,
    pub points: usize,
    pub shards: usize,
    pub build_cpu_seconds: f64,
    /// CPU seconds of the OPRF of all items, part of the build.
    pub build_oprf_cpu_seconds: f64,
    pub build_peak_bytes: u64,
    pub encoded_bytes: u64,
    pub hint_bytes: u64,
    pub sent: u64,
    pub received: u64,
    pub server_oprf_cpu_seconds: f64,
    pub server_answer_cpu_seconds: f64,
    pub client_cpu_seconds: f64,
    /// CPU seconds of only reading the encoded bytes, on one core.
    pub read_cpu_seconds: f64,
}

/// What a server holds.
struct Built {
    params: Params,
    masks: PublicMasks,
    shards: Vec<(ShardUid, usize, Hint, Arc<psi::evaluate::ShardMatrix>)>,
}

fn item(number: u32) -> [u8; 4] {
    number.to_le_bytes()
}

fn label(number: u32) -> [u16; 4] {
    let word = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [word as u16, (word >> 16) as u16, (word >> 32) as u16, (word >> 48) as u16]
}

/// Builds a set of `items` items and asks `asked` items. Half of those are members.
pub fn run(items: u32, asked: u32, groups: u8, points: u16) -> Result<Items> {
    let cpu = || process::cpu_seconds(std::process::id());
    let start = cpu()?;
    let key = Arc::new(OprfKey::from_seed(&[4; 32])?);
    let keys = key.item_keys(&(0..items).map(item).collect::<Vec<_>>())?;
    let after_oprf = cpu()?;
    let built = encode(&keys, asked, groups, points)?;
    drop(keys);
    let (build_cpu, oprf_cpu) = (cpu()? - start, after_oprf - start);
    let peak = memory_bytes(std::process::id(), Memory::Peak);
    let mut report = ask(&built, key, items, asked)?;
    report.build_cpu_seconds = build_cpu;
    report.build_oprf_cpu_seconds = oprf_cpu;
    report.build_peak_bytes = peak;
    Ok(report)
}

fn spec(asked: u32, groups: u8, points: u16) -> ParamsSpec {
    ParamsSpec {
        set: LatticeSet::N2048Q47,
        points,
        groups,
        label_elements: LABEL_ELEMENTS,
        tag_elements: TAG_ELEMENTS,
        asked,
    }
}

fn encode(keys: &[ItemKey], asked: u32, groups: u8, points: u16) -> Result<Built> {
    let params = Params::new(spec(asked, groups, points))?;
    let masks = PublicMasks::derive(&params, &MASK_SEED);
    let mut binned: Vec<Vec<u32>> = vec![Vec::new(); params.bins()];
    for number in 0..keys.len() as u32 {
        binned[Bins::default().of(&params, &item(number)) as usize].push(number);
    }
    let fullest = binned.iter().map(Vec::len).max().unwrap_or(0);
    // Two items of a bin may share a residue and then need two shards: one more than the fullest bin fills.
    let per_group = fullest.div_ceil(params.points()) + 1;
    let mut places: Vec<Vec<(u32, u32)>> = vec![Vec::new(); params.groups() * per_group];
    for (bin, mut numbers) in binned.into_iter().enumerate() {
        let residue = |number: &u32| keys[*number as usize].residue();
        numbers.sort_unstable_by_key(residue);
        let alike: Vec<&[u32]> = numbers.chunk_by(|a, b| residue(a) == residue(b)).collect();
        let wanted: Vec<Wanted> =
            alike.iter().map(|run| Wanted { residue: residue(&run[0]), count: run.len() }).collect();
        let packed = BinPacker::new(per_group, params.points()).pack(&wanted);
        let (group, slot) = (bin / params.degree(), (bin % params.degree()) as u32);
        for (run, shards) in alike.iter().zip(packed) {
            ensure!(run.len() == shards.len(), "an item finds no place");
            shards
                .iter()
                .zip(*run)
                .for_each(|(shard, number)| places[group * per_group + shard].push((slot, *number)));
        }
    }
    let mut shards = Vec::new();
    for (place, numbers) in places.iter().enumerate().filter(|(_, numbers)| !numbers.is_empty()) {
        let (uid, group) = (ShardUid(place as u64), place / per_group);
        let labels: Vec<[u16; 4]> = numbers.iter().map(|&(_, number)| label(number)).collect();
        let of = numbers.iter().zip(&labels);
        let entries = of.map(|(&(slot, number), label)| Entry { slot, key: &keys[number as usize], label });
        let matrix = Arc::new(Shard::encode(&params, uid, entries)?.matrix(&params));
        let hint = Hint::compute(&params, &matrix, &masks, group);
        shards.push((uid, group, hint, matrix));
    }
    Ok(Built { params, masks, shards })
}

/// Sends queries until every item was asked, and checks every label.
fn ask(built: &Built, key: Arc<OprfKey>, items: u32, asked: u32) -> Result<Items> {
    let Built { params, masks, shards } = built;
    let cpu = || process::cpu_seconds(std::process::id());
    let numbers: Vec<u32> =
        (0..asked).map(|n| if n % 2 == 0 { n * (items / asked) } else { items + n }).collect();
    let served = shards.iter().map(|s| ServedShard { group: s.1, matrix: s.3.clone() }).collect();
    let evaluator = Evaluator::new(*params, key, served)?;
    let (mut client_cpu, mut answer_cpu) = (0.0, 0.0);
    let (start, names) = (cpu()?, numbers.iter().map(|&n| item(n)).collect());
    let blinded = oprf::blind(names)?;
    client_cpu += cpu()? - start;
    let sent_oprf = blinded.message().len();
    let (evaluated, oprf_cpu) = repeated(|| Ok(evaluator.evaluate(blinded.message())?))?;
    let start = cpu()?;
    let keys = blinded.finalize(&evaluated)?;
    client_cpu += cpu()? - start;
    let known: Vec<KnownShard> =
        shards.iter().map(|s| KnownShard { uid: s.0, group: s.1, hint: &s.2 }).collect();
    let mut waiting: Vec<usize> = (0..numbers.len()).collect();
    let (mut queries, mut sent, mut received, mut found) = (0, sent_oprf, evaluated.len(), 0);
    while !waiting.is_empty() {
        let mut taken = HashSet::new();
        let (now, later): (Vec<usize>, Vec<usize>) = waiting
            .into_iter()
            .partition(|&place| taken.insert(Bins::default().of(params, &item(numbers[place]))));
        waiting = later;
        let one = |&place: &usize| AskedKey {
            item: Some(place as u32),
            bin: Bins::default().of(params, &item(numbers[place])),
            key: keys[place].clone(),
        };
        let start = cpu()?;
        let (upload, pending) =
            query::encrypt(params, masks, now.iter().map(one).collect(), &mut thread_rng())?;
        client_cpu += cpu()? - start;
        let (reply, cpu_seconds) = repeated(|| Ok(evaluator.answer(&upload)?))?;
        answer_cpu += cpu_seconds;
        let start = cpu()?;
        let labels = pending.open(&known, &reply, |r| Some((r.item, r.label.to_vec())))?;
        client_cpu += cpu()? - start;
        ensure!(labels.iter().all(|(place, l)| *l == label(numbers[*place as usize])), "a wrong label");
        found += labels.len();
        queries += 1;
        sent += upload.len();
        received += reply.len();
    }
    let encoded: usize = shards.iter().map(|s| s.3.bytes()).sum();
    Ok(Items {
        items,
        asked,
        members_found: found,
        queries,
        groups: params.groups() as u8,
        points: params.points(),
        shards: shards.len(),
        build_cpu_seconds: 0.0,
        build_oprf_cpu_seconds: 0.0,
        build_peak_bytes: 0,
        encoded_bytes: encoded as u64,
        hint_bytes: (shards.len() * params.hint_bytes()) as u64,
        sent: sent as u64,
        received: received as u64,
        server_oprf_cpu_seconds: oprf_cpu,
        server_answer_cpu_seconds: answer_cpu,
        client_cpu_seconds: client_cpu,
        read_cpu_seconds: read(encoded)?,
    })
}

/// The result of `work`, and its CPU seconds summed over all cores.
fn repeated<T>(work: impl Fn() -> Result<T>) -> Result<(T, f64)> {
    let start = process::cpu_seconds(std::process::id())?;
    let mut result = work()?;
    for _ in 1..RUNS {
        result = work()?;
    }
    Ok((result, (process::cpu_seconds(std::process::id())? - start) / RUNS as f64))
}

fn read(bytes: usize) -> Result<f64> {
    let memory = vec![1u64; bytes / size_of::<u64>()];
    let sum = || std::hint::black_box(&memory).iter().fold(0u64, |sum, word| sum.wrapping_add(*word));
    Ok(repeated(|| Ok(std::hint::black_box(sum())))?.1)
}
