//! Linear models at rest: a sealed file each, whole or not there.

use std::fs;
use std::path::{Path, PathBuf};

use psi::SEED_BYTES;
use psi::linear::{BLIND_SEED_BYTES, MAX_MODELS, ModelOffer};
use psi::wire::Digest;
use rand::{RngCore, rngs::OsRng};
use serde::{Deserialize, Serialize};

use crate::opening::{entries, make_private_folder};
use crate::store::hold;
use crate::{Database, Error, schema, whole};

/// How the seal and errors call it.
const WHAT: &str = "a model";
const EXTENSION: &str = "model";

/// A model to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewModel {
    /// Its name, as clients ask for it.
    pub name: String,
    /// What features and classes mean; clients get it.
    pub public: Vec<u8>,
    /// Features, F.
    pub features: u16,
    /// Classes, C.
    pub classes: u32,
    /// `[class][feature]`, each -127 to 127; never leaves the server.
    pub weights: Vec<i8>,
    /// What training needs to add a class; never leaves the server.
    pub training: Vec<u8>,
}

/// A model as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredModel {
    /// The model.
    pub model: NewModel,
    /// Seed of the public masks.
    pub seed: [u8; SEED_BYTES],
    /// Secret seed of what hides the weights in the hints; another one whenever the model is kept anew.
    pub blind: [u8; BLIND_SEED_BYTES],
}

/// What is in the folder.
#[derive(Debug, Default)]
pub struct StoredModels {
    /// By name.
    pub sound: Vec<StoredModel>,
    /// Files that cannot be read; their models have to be trained again.
    pub damaged: Vec<PathBuf>,
}

impl Database {
    /// Keeps a model in the place of the one of its name, if there is one; on disk when this returns.
    ///
    /// # Errors
    /// [`Error::ModelName`], [`Error::TooManyModels`], [`Error::File`], and where there is no room.
    pub fn put_model(&self, model: NewModel) -> Result<(), Error> {
        if !ModelOffer::is_name(&model.name) {
            return Err(Error::ModelName);
        }
        let _writing = hold(&self.writer);
        let path = path_of(self.folder(), &model.name);
        if !path.exists() && self.models()?.sound.len() >= MAX_MODELS {
            return Err(Error::TooManyModels { most: MAX_MODELS });
        }
        make_private_folder(&folder_of(self.folder()))?;
        let (mut seed, mut blind) = ([0; SEED_BYTES], [0; BLIND_SEED_BYTES]);
        OsRng.fill_bytes(&mut seed);
        OsRng.fill_bytes(&mut blind);
        let record = schema::encode(&StoredModel { model, seed, blind });
        self.device.need_room(record.len() as u64)?;
        whole::write_sealed(&path, WHAT, &record)?;
        whole::flush_folder(&folder_of(self.folder()))
    }

    /// All models.
    ///
    /// # Errors
    /// [`Error::File`]. Damage is no error here: one model must not keep the others from being served.
    pub fn models(&self) -> Result<StoredModels, Error> {
        read_all(self.folder())
    }

    /// Forgets a model; whether there was one of this name.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn remove_model(&self, name: &str) -> Result<bool, Error> {
        let _writing = hold(&self.writer);
        let path = path_of(self.folder(), name);
        match fs::remove_file(&path) {
            Ok(()) => whole::flush_folder(&folder_of(self.folder())).map(|()| true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(Error::File { path, source }),
        }
    }
}

/// The models in a database's folder.
pub(crate) fn read_all(folder: &Path) -> Result<StoredModels, Error> {
    let mut models = StoredModels::default();
    for path in entries(&folder_of(folder))? {
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue; // half of a writing
        }
        match read(&path) {
            Ok(model) if path == path_of(folder, &model.model.name) => models.sound.push(model),
            Ok(_) | Err(Error::Damaged { .. }) => models.damaged.push(path),
            Err(other) => return Err(other),
        }
    }
    models.sound.sort_by(|a, b| a.model.name.cmp(&b.model.name));
    models.damaged.sort();
    Ok(models)
}

fn read(path: &Path) -> Result<StoredModel, Error> {
    let stored: StoredModel = schema::decode(&whole::read_sealed(path, WHAT)?, WHAT)?;
    let NewModel { features, classes, weights, .. } = &stored.model;
    let expected = u64::from(*features) * u64::from(*classes);
    if weights.len() as u64 == expected { Ok(stored) } else { Err(Error::damaged(WHAT)) }
}

fn folder_of(folder: &Path) -> PathBuf {
    folder.join("models")
}

/// Names hold what file names may not: a digest stands for each.
fn path_of(folder: &Path, name: &str) -> PathBuf {
    let digest = Digest::of(name.as_bytes()).to_string();
    folder_of(folder).join(&digest[..32]).with_extension(EXTENSION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fingerprint::Settings;

    fn model(name: &str, weight: i8) -> NewModel {
        let (features, classes) = (3, 2);
        let (public, training) = (name.as_bytes().to_vec(), vec![7]);
        NewModel { name: name.into(), public, features, classes, weights: vec![weight; 6], training }
    }

    #[test]
    fn models_stay_are_replaced_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Database::open_or_create(folder.path(), Settings::default()).unwrap();
        let database = open();
        assert!(database.models().unwrap().sound.is_empty());
        database.put_model(model("moods", 1)).unwrap();
        database.put_model(model("../voices / Stimmen", 2)).unwrap();
        let first = database.models().unwrap().sound;
        assert_eq!(first.iter().map(|stored| stored.model.weights[0]).collect::<Vec<_>>(), [2, 1]);
        database.put_model(model("moods", 3)).unwrap();
        drop(database);
        let database = open();
        let second = database.models().unwrap().sound;
        assert_eq!(second[0], first[0]);
        assert_eq!(second[1].model, model("moods", 3));
        assert!(second[1].blind != first[1].blind && second[1].seed != first[1].seed);
        assert!(database.remove_model("moods").unwrap() && !database.remove_model("moods").unwrap());
        assert_eq!(database.models().unwrap().sound.len(), 1);
        for name in ["", "a\nb", &"x".repeat(65)] {
            assert!(matches!(database.put_model(model(name, 1)), Err(Error::ModelName)), "{name:?}");
        }
    }

    #[test]
    fn a_damaged_model_is_told_and_the_others_are_served() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open_or_create(folder.path(), Settings::default()).unwrap();
        database.put_model(model("moods", 1)).unwrap();
        database.put_model(model("voices", 2)).unwrap();
        let path = path_of(folder.path(), "moods");
        let mut bytes = fs::read(&path).unwrap();
        bytes[10] ^= 1;
        fs::write(&path, &bytes).unwrap();
        // A sound file under another's name is damage, too.
        fs::copy(path_of(folder.path(), "voices"), path_of(folder.path(), "other")).unwrap();
        let models = database.models().unwrap();
        assert_eq!(
            models.sound.iter().map(|stored| stored.model.name.as_str()).collect::<Vec<_>>(),
            ["voices"]
        );
        assert!(models.damaged.len() == 2 && models.damaged.contains(&path));
        drop(database);
        let report = crate::check(folder.path(), false).unwrap();
        assert_eq!(report.damages.len(), 2, "{report:?}");
        let repaired = crate::check(folder.path(), true).unwrap();
        assert!(repaired.damages.iter().all(|damage| damage.repaired), "{repaired:?}");
        assert!(!repaired.is_sound(), "something must be trained again");
        assert!(crate::check(folder.path(), false).unwrap().is_sound());
    }
}
