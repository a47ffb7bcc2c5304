//! What sled holds: the trees of the store. Every record that is read is checked against its digest.
//!
//! | file | what it owns |
//! | --- | --- |
//! | `varint` | numbers of one to five bytes |
//! | `records` | the records as types |
//! | `schema` | names of the trees, keys and values byte by byte, the schema number |
//! | `table` | one tree of sled, guarded against sled's panics |
//! | `ledger` | which tracks must be there, in a file outside sled |

pub(crate) mod ledger;
pub(crate) mod records;
pub(crate) mod schema;
pub(crate) mod table;
pub(crate) mod varint;

use fingerprint::Landmark;
use protocol::wire::Digest;
use sled::Transactional;
use sled::transaction::ConflictableTransactionError;

use crate::error::Error;
use crate::tables::records::{Next, StoredTrack, Sums};
use crate::tables::schema::{CHUNK_POSTINGS, track_chunk};
use crate::tables::table::{Table, guarded, transact};

/// All trees.
pub(crate) struct Tables {
    pub db: sled::Db,
    pub meta: Table,
    pub tracks: Table,
    pub sums: Table,
    pub contents: Table,
    pub postings: Table,
    pub items: Table,
    pub tokens: Table,
}

impl Tables {
    pub fn open(db: sled::Db) -> Result<Tables, Error> {
        let table = |name| Table::open(&db, name);
        Ok(Tables {
            meta: table("meta")?,
            tracks: table("tracks")?,
            sums: table("sums")?,
            contents: table("contents")?,
            postings: table("postings")?,
            items: table("items")?,
            tokens: table("tokens")?,
            db,
        })
    }

    /// Asks sled to write everything. [`crate::disk::device`] makes sure that it reaches the device.
    pub fn flush(&self) -> Result<(), Error> {
        guarded("all", || self.db.flush()).map(drop)
    }

    pub fn next(&self) -> Result<Next, Error> {
        match self.meta.get("next")? {
            Some(bytes) => schema::decode(&bytes, "the number of the next track"),
            None => Ok(Next::FIRST),
        }
    }

    /// The track with this number, if there is one.
    pub fn track(&self, id: u32) -> Result<Option<StoredTrack>, Error> {
        self.tracks.get(id.to_be_bytes())?.map(|bytes| self.checked(id, &bytes)).transpose()
    }

    /// All tracks by number.
    pub fn list(&self) -> Result<Vec<StoredTrack>, Error> {
        let read = |entry: Result<(sled::IVec, sled::IVec), Error>| {
            let (key, bytes) = entry?;
            self.checked(read_id(&key)?, &bytes)
        };
        self.tracks.entries([]).map(read).collect()
    }

    /// The numbers of all tracks.
    pub fn numbers(&self) -> Result<Vec<u32>, Error> {
        self.tracks.entries([]).map(|entry| read_id(&entry?.0)).collect()
    }

    /// The number of the track with this content, if there is one.
    pub fn find_content(&self, content: &[u8; 32]) -> Result<Option<u32>, Error> {
        let Some(id) = self.contents.get(content)?.map(|bytes| read_id(&bytes)).transpose()? else {
            return Ok(None);
        };
        match self.track(id)? {
            Some(track) if track.content == *content => Ok(Some(id)),
            _ => Err(Error::damaged(format!("the index of contents: it points to track {id}"))),
        }
    }

    /// A track's postings.
    pub fn postings_of(&self, id: u32) -> Result<Vec<Landmark>, Error> {
        let damaged = || Error::damaged(format!("the postings of track {id}"));
        let (mut landmarks, mut bytes) = (Vec::new(), Vec::new());
        for entry in self.postings.entries(id.to_be_bytes()) {
            let (_, chunk) = entry?;
            landmarks.extend(schema::decode_postings(&chunk).ok_or_else(damaged)?);
            bytes.extend_from_slice(&chunk);
        }
        if Digest::of(&bytes) == self.sums_of(id)?.postings { Ok(landmarks) } else { Err(damaged()) }
    }

    pub fn sums_of(&self, id: u32) -> Result<Sums, Error> {
        let stored = self.sums.get(id.to_be_bytes())?;
        let sums = stored.and_then(|bytes| Sums::from_bytes(&bytes));
        sums.ok_or_else(|| Error::damaged(format!("the digests of track {id}")))
    }

    /// Writes a track atomically.
    pub fn put_track(&self, stored: &StoredTrack, landmarks: &[Landmark], after: Next) -> Result<(), Error> {
        let chunks: Vec<Vec<u8>> = landmarks.chunks(CHUNK_POSTINGS).map(schema::encode_postings).collect();
        let record = schema::encode(stored);
        let digests = Sums::of(&record, &chunks.concat());
        let id = stored.id.to_be_bytes();
        let Tables { meta, tracks, sums, contents, postings, .. } = self;
        transact(|| {
            (&meta.tree, &tracks.tree, &sums.tree, &contents.tree, &postings.tree).transaction(
                |(meta, tracks, sums, contents, postings)| {
                    meta.insert("next", schema::encode(&after))?;
                    tracks.insert(&id, record.as_slice())?;
                    sums.insert(&id, digests.to_bytes())?;
                    contents.insert(&stored.content, &id)?;
                    for (chunk, bytes) in chunks.iter().enumerate() {
                        postings.insert(&track_chunk(stored.id, chunk), bytes.as_slice())?;
                    }
                    Ok::<(), ConflictableTransactionError<()>>(())
                },
            )
        })
    }

    /// Replaces a track's record. Its postings stay.
    pub fn put_record(&self, stored: &StoredTrack) -> Result<(), Error> {
        let record = schema::encode(stored);
        let digests = Sums { record: Digest::of(&record), ..self.sums_of(stored.id)? };
        let id = stored.id.to_be_bytes();
        transact(|| {
            (&self.tracks.tree, &self.sums.tree).transaction(|(tracks, sums)| {
                tracks.insert(&id, record.as_slice())?;
                sums.insert(&id, digests.to_bytes())?;
                Ok::<(), ConflictableTransactionError<()>>(())
            })
        })
    }

    /// Deletes a track atomically.
    pub fn delete_track(&self, stored: &StoredTrack) -> Result<(), Error> {
        let id = stored.id.to_be_bytes();
        let chunks = self.postings.entries(id).map(|entry| Ok(entry?.0));
        let chunks: Vec<sled::IVec> = chunks.collect::<Result<_, Error>>()?;
        let Tables { tracks, sums, contents, postings, .. } = self;
        transact(|| {
            (&tracks.tree, &sums.tree, &contents.tree, &postings.tree).transaction(
                |(tracks, sums, contents, postings)| {
                    tracks.remove(&id)?;
                    sums.remove(&id)?;
                    contents.remove(&stored.content)?;
                    for key in &chunks {
                        postings.remove(key)?;
                    }
                    Ok::<(), ConflictableTransactionError<()>>(())
                },
            )
        })
    }

    fn checked(&self, id: u32, record: &[u8]) -> Result<StoredTrack, Error> {
        let what = format!("the record of track {id}");
        if Digest::of(record) != self.sums_of(id)?.record {
            return Err(Error::damaged(what));
        }
        let track: StoredTrack = schema::decode(record, &what)?;
        if track.id == id { Ok(track) } else { Err(Error::damaged(what)) }
    }
}

/// Decodes a track's number from a key or a value.
pub(crate) fn read_id(bytes: &[u8]) -> Result<u32, Error> {
    Ok(u32::from_be_bytes(bytes.try_into().map_err(|_| Error::damaged("the number of a track"))?))
}
